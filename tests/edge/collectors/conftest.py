"""What the tests of the collectors share: their stages and played sources lie beside them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))  # collector_place
sys.path.append(str(Path(__file__).resolve().parent.parent))  # certificates
