"""The way of an event when something on it is at fault: neither the request nor the event is lost."""

from __future__ import annotations

from pathlib import Path

from harness import InProcessCloud, until
from windtunnel.kernel.context import Context, Event
from windtunnel.services.events.model import Rule
from windtunnel.services.events.rulesets import rules_on

ENTRY = {"Source": "shop", "DetailType": "x", "Detail": "{}"}


class Faulty:
    """Fails whenever it is to be quick; counts."""

    light = True

    def __init__(self) -> None:
        self.tried: list[bool] = []

    def carry_out(self, quickly: bool) -> None:
        self.tried.append(quickly)
        if quickly:
            raise RuntimeError("a target's fault")


def test_a_fault_where_an_event_happens_leaves_it_to_the_outbox_and_there_to_runs(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path) as cloud:
        faulty = Faulty()

        def plan(ctx: Context, event: Event) -> Faulty:
            return faulty

        cloud.cloud.pump._plan = plan
        reply = cloud.api("events", "PutEvents", entries=[ENTRY])
        assert reply["FailedEntryCount"] == 0
        until(lambda: faulty.tried == [True, True, False], what="at last the slow way")
        left = "SELECT count(*) FROM outbox"
        until(
            lambda: cloud.read(lambda ctx: ctx.tx.connection.execute(left).fetchone()[0]) == 0,
            what="an outbox that is empty once that is durable",
        )


def test_what_nobody_wants_is_not_kept(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path) as cloud:
        cloud.api("events", "PutEvents", entries=[ENTRY] * 3)
        seq = cloud.read(lambda ctx: ctx.tx.connection.execute("SELECT seq FROM sqlite_sequence WHERE name='outbox'").fetchone())
        assert seq is None


def test_rules_of_a_release_that_kept_no_generation_match_still(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path) as cloud:
        cloud.write(lambda ctx: ctx.tx.put(Rule(name="old", pattern='{"source":["shop"]}')))
        found = cloud.read(lambda ctx: rules_on(ctx, "default").rules.of({"source": "shop"}))
        assert [rule.name for rule in found] == ["old"]
