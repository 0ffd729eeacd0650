"""CodeCommit's operations on triggers (API reference 2015-04-13): all of a repository's are set at once."""

from __future__ import annotations

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.codecommit.model import HEADS
from windtunnel.services.codecommit.operations import on_repository, the_repository
from windtunnel.services.codecommit.refs import refs_of
from windtunnel.services.codecommit.triggering import RepositoryTriggers, Trigger, check, send

MEMBERS = "repositoryName triggers[].name triggers[].destinationArn triggers[].customData triggers[].branches[] triggers[].events[]"
SAMPLE = "5c4ef1049f1d27deadbeeff313e0730018be182b"
"""The commit of a test message of an empty repository, as AWS's sample event has it."""


@writes("codecommit", "PutRepositoryTriggers", authorize=on_repository("codecommit:PutRepositoryTriggers"), acts=MEMBERS)
def put_repository_triggers(ctx: Context, repository_name: str, triggers: list[Trigger]) -> Reply:
    repo = the_repository(ctx, repository_name)
    check(ctx, "PutRepositoryTriggers", triggers)
    made = RepositoryTriggers(repository_id=repo.repository_id, configuration=ctx.ids.uuid(), triggers=triggers)
    if triggers:
        ctx.tx.put(made)
    else:
        ctx.tx.delete(RepositoryTriggers, repo.repository_id)
    return {"configurationId": made.configuration}


@reads("codecommit", "GetRepositoryTriggers", authorize=on_repository("codecommit:GetRepositoryTriggers"), acts="repositoryName")
def get_repository_triggers(ctx: Context, repository_name: str) -> Reply:
    found = ctx.tx.get(RepositoryTriggers, the_repository(ctx, repository_name).repository_id)
    return {"triggers": []} if found is None else {"configurationId": found.configuration, "triggers": found.triggers}


@writes("codecommit", "TestRepositoryTriggers", authorize=on_repository("codecommit:TestRepositoryTriggers"), acts=MEMBERS)
def test_repository_triggers(ctx: Context, repository_name: str, triggers: list[Trigger]) -> Reply:
    """Sends each a message, about the default branch if there is one."""
    repo = the_repository(ctx, repository_name)
    check(ctx, "TestRepositoryTriggers", triggers)
    ref = HEADS + (repo.default_branch or "main")
    references = [{"commit": refs_of(ctx, repo).get(ref, SAMPLE), "ref": ref}]
    reached, failed = [], []
    for trigger in triggers:
        try:
            send(ctx, repo, trigger, ctx.ids.uuid(), "TriggerEventTest", references)
            reached.append(trigger["name"])
        except AwsError as error:
            failed.append({"trigger": trigger["name"], "failureMessage": error.message})
    return {"successfulExecutions": reached, "failedExecutions": failed}
