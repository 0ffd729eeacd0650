"""What happens next inside a stage, and where an execution goes after it. Pure: structures and statuses in, decisions out."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any, NamedTuple

from windtunnel.services.codepipeline.model import ActionStatus, Declaration, stage_names


class Start(NamedTuple):
    """Start these actions, together."""

    actions: tuple[str, ...]


class Wait(NamedTuple):
    """Some action still runs."""


class Failed(NamedTuple):
    """Everything that was started has ended, and these did not succeed."""

    actions: tuple[str, ...]


class Done(NamedTuple):
    """Every action has succeeded."""


Step = Start | Wait | Failed | Done


def next_step(actions: list[dict[str, Any]], statuses: Mapping[str, ActionStatus]) -> Step:
    """The next step of a stage: actions of one runOrder start together, the next order only after all of them succeeded.

    A retry is the same question with the failed actions' statuses forgotten.
    """
    ordered = sorted(actions, key=lambda action: int(action["runOrder"]))
    for _, members in groupby(ordered, key=lambda action: int(action["runOrder"])):
        names = [str(action["name"]) for action in members]
        missing = tuple(name for name in names if name not in statuses)
        if missing:
            return Start(missing)
        if any(statuses[name] == "InProgress" for name in names):
            return Wait()
        failed = tuple(name for name in names if statuses[name] != "Succeeded")
        if failed:
            return Failed(failed)
    return Done()


def successor(entered: Declaration, current: Declaration, stage: str) -> str | None:
    """The stage after `stage`, in the pipeline as it is now; entered: the structure that the execution entered `stage` with.

    When the stage itself is gone, the next one of the old structure that is still there.
    """
    now = stage_names(current)
    if stage in now:
        after = now[now.index(stage) + 1 :]
        return after[0] if after else None
    before = stage_names(entered)
    return next((name for name in before[before.index(stage) + 1 :] if name in now), None)
