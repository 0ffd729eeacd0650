"""Removing blob files that nothing refers to, once at each start, before anything is answered."""

from __future__ import annotations

import logging
from typing import Any

from windtunnel.kernel.registry import at_start
from windtunnel.store.references import referenced

log = logging.getLogger("windtunnel.s3")


@at_start
def sweep_blobs(cloud: Any) -> None:
    """Ask the store what is referred to, and have the rest removed."""
    with cloud.store.thread_snapshot("", "") as tx:
        removed = cloud.blobs.sweep(referenced(tx.connection))
    if removed:
        log.info("removed %d blob files that nothing refers to", removed)
