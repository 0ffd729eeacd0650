"""Notes of calls are kept for 90 days, as LookupEvents promises; a durable run of the cloud forgets what is older, once an hour.

Invariant: one run for each cloud, begun at its first start; it forgets in small transactions, so that requests get in between.
"""

from __future__ import annotations

from typing import Any

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context
from windtunnel.kernel.registry import at_start

KEPT_SECONDS = 90 * 86_400
EVERY = 3_600.0
ROWS = 200
RUN = "cloudtrail.retention"


@job("cloudtrail.retention")
def forget_old_calls(run: Run, nth: int = 0) -> None:
    if run.tx("forget", forget) < ROWS:
        run.sleep("pause", EVERY, paced=True)
    run.continue_as_new(nth=nth + 1)


def forget(ctx: Context) -> int:
    """Forget at most ROWS groups that are too old, of all scopes. Returns how many went."""
    before, gone = int((ctx.now - KEPT_SECONDS) * 1e6), 0
    for account, region in ctx.tx.audited():
        if gone < ROWS:
            gone += ctx.tx.within(account, region).drop_audit(before, ROWS - gone)
    return gone


@at_start
def begin(cloud: Any) -> None:
    """Rows go on from the newest that there is; the run is begun if it never was."""
    from windtunnel.store.audit import newest

    with cloud.part("store").thread_snapshot("", "") as tx:
        cloud.part("audit").begin_after(newest(tx.connection))
        begun = tx.connection.execute("SELECT 1 FROM run WHERE id=?", (RUN,)).fetchone()
    if begun is None:
        scope = cloud.settings
        cloud.part("store-writer").submit_threadsafe(
            lambda tx: cloud.part("context")(tx, scope.account, scope.region).start_job(RUN, RUN)
        ).result()
