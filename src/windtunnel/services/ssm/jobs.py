"""Parameter policies in time: parameters that expire, and events that say that one will, or that one was not changed for long.

Invariant: a job acts only if the parameter is still the one that it was planned for (its version and the moment it was written); a new
version plans its policies anew.
"""

from __future__ import annotations

import msgspec

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context
from windtunnel.services.ssm.model import Parameter, parameter_arn
from windtunnel.services.ssm.operations.writing import remove


@job("ssm.policy")
def act_when_due(run: Run, name: str, version: int, modified: float, place: int, seconds: float) -> None:
    run.sleep("due", seconds)
    run.tx("act", act, name, version, modified, place)


def act(ctx: Context, name: str, version: int, modified: float, place: int) -> bool:
    parameter = ctx.tx.get(Parameter, name)
    if parameter is None or (parameter.current.version, parameter.current.modified) != (version, modified):
        return False
    policy = parameter.current.policies[place]
    ctx.emit(
        "aws.ssm",
        "Parameter Store Policy Action",
        [parameter_arn(ctx.scope, name)],
        {
            "parameter-name": name,
            "parameter-type": parameter.current.type,
            "policy-type": policy.type,
            "policy-content": policy.text,
            "action-status": "Success",
        },
    )
    if policy.type == "Expiration":
        return remove(ctx, name)
    done = list(parameter.current.policies)
    done[place] = msgspec.structs.replace(policy, status="Finished")
    parameter.current = msgspec.structs.replace(parameter.current, policies=tuple(done))
    ctx.tx.put(parameter)
    return True
