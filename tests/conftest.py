"""Shared by all tests: the harness is importable, and a write handler that touches the world outside the store is an error."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
