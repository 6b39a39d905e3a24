"""Tocsin: sense, warn, simulate, compare plans, decide, record, learn."""

__version__ = "0.1.0"
