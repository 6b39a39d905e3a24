"""The service that every test of SensorThings has at hand."""

from sta_place import sta

__all__ = ["sta"]
