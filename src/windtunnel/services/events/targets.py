"""The targets that rules can have here: each a function that calls the target's own operation, as the target's role.

Invariant: the event's id is the request token wherever the operation takes one, so that nothing starts twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.scope import Arn
from windtunnel.wire.naming import xform

Deliver = Callable[[Context, Arn, str, str], None]
"""(the role's context, the target's ARN, its input, the event's id)."""
TARGETS: dict[str, Deliver] = {}


def target(service: str) -> Callable[[Deliver], Deliver]:
    """Register how events reach targets whose ARN names this service."""

    def register(deliver: Deliver) -> Deliver:
        TARGETS[service] = deliver
        return deliver

    return register


def _parameters(text: str, wanted: frozenset[str]) -> dict[str, Any]:
    """The members of a JSON input that the operation takes; an event itself has none of them."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AwsError("ValidationException", f"The input of the target is not valid JSON: {error}") from error
    return {xform(name): value for name, value in given.items() if name in wanted} if isinstance(given, dict) else {}


@target("codepipeline")
def start_pipeline(ctx: Context, arn: Arn, given: str, event_id: str) -> None:
    parameters = _parameters(given, frozenset({"variables", "sourceRevisions"}))
    ctx.call("codepipeline", "StartPipelineExecution", name=arn.resource, client_request_token=event_id, **parameters)


BUILD_PARAMETERS = frozenset(
    {"sourceVersion", "environmentVariablesOverride", "buildspecOverride", "artifactsOverride", "timeoutInMinutesOverride"}
    | {"sourceTypeOverride", "sourceLocationOverride", "imageOverride", "computeTypeOverride", "privilegedModeOverride"}
)


@target("codebuild")
def start_build(ctx: Context, arn: Arn, given: str, event_id: str) -> None:
    project = arn.resource.removeprefix("project/")
    parameters = _parameters(given, BUILD_PARAMETERS)
    ctx.call("codebuild", "StartBuild", project_name=project, idempotency_token=event_id, **parameters)
