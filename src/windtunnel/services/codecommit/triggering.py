"""Triggers: which topic hears of which changes of references, and telling it.

Invariant: a topic is told in the transaction that moves the references, as CodeCommit for that repository, and by what its policy grants; one that cannot
be told stops no push. Source of the message: what triggers of AWS's repositories have sent (`Records`, event version 1.0).
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.git import ZERO, Update
from windtunnel.kernel.records import Record, RecordScope
from windtunnel.kernel.scope import Arn
from windtunnel.kernel.trail import trail
from windtunnel.services.codecommit.model import HEADS, Repository, repository_arn, valid_branch

log = logging.getLogger("windtunnel.codecommit")
SERVICE = "codecommit.amazonaws.com"
MOST, MOST_BRANCHES, LONGEST_DATA = 10, 10, 1000
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}\Z")
EVENTS = frozenset(("all", "updateReference", "createReference", "deleteReference"))
Trigger = dict[str, Any]
"""By the model's member names."""


class RepositoryTriggers(Record, kw_only=True):
    """All triggers of a repository; configuration: the id of the request that set them."""

    KIND: ClassVar[str] = "codecommit.triggers"
    SCOPE: ClassVar[RecordScope] = "region"

    repository_id: str
    configuration: str
    triggers: list[Trigger]

    def key(self) -> str:
        return self.repository_id


def check(ctx: Context, operation: str, triggers: list[Trigger]) -> None:
    """Raises AwsError for what AWS refuses, and for functions, which do not run yet."""
    if len(triggers) > MOST:
        raise AwsError("MaximumRepositoryTriggersExceededException", f"A repository can have at most {MOST} triggers.")
    names = [trigger["name"] for trigger in triggers]
    for trigger in triggers:
        name = trigger["name"]
        if not _NAME.match(name) or names.count(name) > 1:
            raise AwsError(
                "InvalidRepositoryTriggerNameException", f"The repository trigger name {name[:128]} is not valid, or is used twice."
            )
        _check_destination(ctx, operation, trigger["destinationArn"])
        _check_events(trigger["events"])
        branches = trigger.get("branches") or []
        if len(branches) > MOST_BRANCHES:
            raise AwsError("MaximumBranchesExceededException", f"A trigger can name at most {MOST_BRANCHES} branches.")
        wrong = next((branch for branch in branches if not valid_branch(branch)), None)
        if wrong is not None:
            raise AwsError("InvalidRepositoryTriggerBranchNameException", f"The branch name {wrong[:256]} is not valid.")
        if len(trigger.get("customData") or "") > LONGEST_DATA:
            raise AwsError("InvalidRepositoryTriggerCustomDataException", f"Custom data can have at most {LONGEST_DATA} characters.")


def _check_destination(ctx: Context, operation: str, text: str) -> None:
    if not text:
        raise AwsError("RepositoryTriggerDestinationArnRequiredException", "A destination ARN is required for each trigger.")
    arn = Arn.parse(text)
    if arn is None or arn.service not in ("sns", "lambda") or not arn.resource or not arn.account:
        raise AwsError("InvalidRepositoryTriggerDestinationArnException", f"{text[:256]} is not the ARN of a topic or a function.")
    if arn.region != ctx.scope.region:
        raise AwsError("InvalidRepositoryTriggerRegionException", f"The target {text[:256]} is not in the repository's region.")
    if arn.service == "lambda":
        raise not_built("codecommit", operation, "triggers[].destinationArn of a function")


def _check_events(events: list[str]) -> None:
    if not events:
        raise AwsError("RepositoryTriggerEventsListRequiredException", "At least one event is required for each trigger.")
    if not set(events) <= EVENTS or ("all" in events and len(events) > 1):
        raise AwsError(
            "InvalidRepositoryTriggerEventsException", "Events are all alone, or updateReference, createReference, deleteReference."
        )


def fire(ctx: Context, repo: Repository, updates: Sequence[Update]) -> None:
    """Tell the triggers that are set for these changes, which are made."""
    found = ctx.tx.get(RepositoryTriggers, repo.repository_id)
    for trigger in found.triggers if found is not None else ():
        wanted = [update for update in updates if _concerns(trigger, update)]
        if found is None or not wanted:
            continue
        try:
            send(ctx, repo, trigger, found.configuration, "ReferenceChanges", [_reference(update) for update in wanted])
        except AwsError as error:
            text = f"repository {repo.name}: the trigger {trigger['name']} did not reach {trigger['destinationArn']}: {error.code}: {error.message}"
            log.warning("%s", text)
            trail(ctx, [repo.name, trigger["destinationArn"]], text, level="error")


def _concerns(trigger: Trigger, update: Update) -> bool:
    """Branches choose among branches; a trigger that names some hears of no tags."""
    branches = trigger.get("branches")
    if branches and not (update.ref.startswith(HEADS) and update.ref[len(HEADS) :] in branches):
        return False
    kind = "createReference" if update.old == ZERO else "deleteReference" if update.new == ZERO else "updateReference"
    return bool({"all", kind} & set(trigger["events"]))


def _reference(update: Update) -> dict[str, Any]:
    if update.new == ZERO:
        return {"commit": update.old, "deleted": True, "ref": update.ref}
    if update.old == ZERO:
        return {"commit": update.new, "created": True, "ref": update.ref}
    return {"commit": update.new, "ref": update.ref}


def send(ctx: Context, repo: Repository, trigger: Trigger, configuration: str, name: str, references: list[dict[str, Any]]) -> None:
    """One event to a trigger's topic. Raises what Publish raises."""
    arn, to = repository_arn(ctx.scope, repo.name), Arn.parse(trigger["destinationArn"])
    assert to is not None
    record = {
        "awsRegion": ctx.scope.region,
        "codecommit": {"references": references},
        "customData": trigger.get("customData"),
        "eventId": ctx.ids.uuid(),
        "eventName": name,
        "eventPartNumber": 1,
        "eventSource": "aws:codecommit",
        "eventSourceARN": arn,
        "eventTime": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(int(ctx.now)))}.{int(ctx.now % 1 * 1000):03d}+0000",
        "eventTotalParts": 1,
        "eventTriggerConfigId": configuration,
        "eventTriggerName": trigger["name"],
        "eventVersion": "1.0",
        "userIdentityARN": ctx.principal.arn,
    }
    teller = ctx.as_service(SERVICE, arn).in_scope(to.account, to.region)
    teller.call(
        "sns",
        "Publish",
        topic_arn=trigger["destinationArn"],
        subject=f"UPDATE: AWS CodeCommit {ctx.scope.region} push: {repo.name}"[:100],
        message=msgspec.json.encode({"Records": [record]}).decode(),
    )
