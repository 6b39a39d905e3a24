"""The digital twin at rest: built from files, kept in a folder with a manifest, opened as a world."""

from tocsin.platform.twin.build import build_twin
from tocsin.platform.twin.manifest import Manifest, read_manifest
from tocsin.platform.twin.twin import Gauge, Twin, local_hour, open_twin

__all__ = ["Gauge", "Manifest", "Twin", "build_twin", "local_hour", "open_twin", "read_manifest"]
