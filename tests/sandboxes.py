"""Whether sandboxes can run here; tests that need them are skipped with the driver's own reason."""

from __future__ import annotations

import platform
import shutil

import pytest


def reason() -> str | None:
    import os

    if platform.system() != "Linux":
        return "sandboxes need Linux"
    if os.geteuid() != 0:
        return "sandboxes need root"
    missing = [tool for tool in ("runc", "nft", "ip", "mmdebstrap") if shutil.which(tool) is None]
    return f"sandboxes need {', '.join(missing)}" if missing else None


needs_sandboxes = pytest.mark.skipif(reason() is not None, reason=f"no sandboxes here: {reason()}")
