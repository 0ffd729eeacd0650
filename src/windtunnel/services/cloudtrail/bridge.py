""" "AWS API Call via CloudTrail" on EventBridge: a write that some rule may ask for becomes an event of the default bus.

Invariant: the event is in the outbox by the transaction that keeps the note. As on AWS, only while a trail that takes management events is
logging; and only if some rule could match, since rendering a record costs more than the note did.
"""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.services.cloudtrail.notes import Pending, join, split
from windtunnel.services.cloudtrail.records import event_source, record

DETAIL_TYPE = "AWS API Call via CloudTrail"
_EVENTS = b',"events",'
"""How a note of EventBridge's own calls looks: after one, the rules are looked at anew."""


class Bridge:
    """Remembers which sources the rules of each scope could ask for: None for all of them."""

    def __init__(self) -> None:
        self._wanted: dict[tuple[str, str], frozenset[str] | None] = {}

    def forget(self) -> None:
        self._wanted.clear()

    def carry(self, ctx: Context, items: list[Pending]) -> None:
        """Put the events that some rule may match into the outbox."""
        scope = (ctx.scope.account, ctx.scope.region)
        if any(_EVENTS in item[3] for item in items):
            self._wanted.pop(scope, None)
        if scope not in self._wanted:
            self._wanted[scope] = _wanted(ctx)
        wanted = self._wanted[scope]
        if wanted is not None and not wanted:
            return
        group = split(join(items))
        for note in group.notes:
            source = f"aws.{event_source(note.service).split('.')[0]}"
            if note.read_only or note.data or (wanted is not None and source not in wanted):
                continue
            ctx.emit(source, DETAIL_TYPE, [], record(note, group.who[note.who], *scope))


def _wanted(ctx: Context) -> frozenset[str] | None:
    found: set[str] = set()
    token: dict[str, Any] = {}
    while True:
        try:
            answer = ctx.call("events", "ListRules", **token)
        except AwsError:
            return frozenset()
        for rule in answer["Rules"]:
            sources = _sources(rule) if rule.get("State", "ENABLED") != "DISABLED" else frozenset()
            if sources is None:
                return None
            found |= sources
        if "NextToken" not in answer:
            return frozenset(found)
        token = {"next_token": answer["NextToken"]}


def _sources(rule: dict[str, Any]) -> frozenset[str] | None:
    """The sources that a rule asks for, if it may match our events; None for any."""
    if not rule.get("EventPattern"):
        return frozenset()
    pattern = msgspec.json.decode(rule["EventPattern"])
    kinds = pattern.get("detail-type")
    if isinstance(kinds, list) and all(isinstance(kind, str) for kind in kinds) and DETAIL_TYPE not in kinds:
        return frozenset()
    sources = pattern.get("source")
    if isinstance(sources, list) and all(isinstance(source, str) for source in sources):
        return frozenset(sources)
    return None
