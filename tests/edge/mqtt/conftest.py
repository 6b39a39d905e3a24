"""What the tests of the MQTT endpoint share: a server on a free port, and the edge's host in memory."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # edge_host
