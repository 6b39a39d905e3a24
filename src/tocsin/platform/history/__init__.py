"""RECALL: years of observations on disk at a few bytes a reading, and the questions that are asked of them."""

from tocsin.platform.history.compaction import Report, compact
from tocsin.platform.history.history import Held, History
from tocsin.platform.history.manifest import Gone

__all__ = ["Gone", "Held", "History", "Report", "compact"]
