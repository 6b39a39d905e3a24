"""Tocsin's own MQTT endpoint: 3.1.1 and 5, for sensors that send readings and for listeners that hear warnings."""
