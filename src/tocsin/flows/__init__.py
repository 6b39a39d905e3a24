"""The two flows: from readings to warnings and forecasts, and from forecasts to orders."""
