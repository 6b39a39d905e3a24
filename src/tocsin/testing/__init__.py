"""Shipped for those who extend Tocsin: promises that every part is held to, tiny worlds, virtual time, faults."""
