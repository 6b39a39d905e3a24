"""OGC SensorThings API 1.1, part 1 (18-088): addresses, options, JSON, batches and data arrays over the store of things."""

from tocsin.interfaces.sensorthings.feed import Feed
from tocsin.interfaces.sensorthings.routes import ROOT, sensorthings_routes
from tocsin.interfaces.sensorthings.service import Answer, Ask, Service
from tocsin.interfaces.sensorthings.topics import Topics

__all__ = ["ROOT", "Answer", "Ask", "Feed", "Service", "Topics", "sensorthings_routes"]
