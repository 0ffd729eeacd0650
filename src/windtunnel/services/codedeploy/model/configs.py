"""The predefined deployment configurations (user guide, "Working with deployment configurations").

Invariant: names and ids of these never change; those of the Lambda and ECS platforms are listed but cannot be used here.
"""

from __future__ import annotations

from windtunnel.services.codedeploy.model.records import Config, MinimumHealthy

DEFAULT = "CodeDeployDefault.OneAtATime"

PREDEFINED = {
    config.name: config
    for config in (
        Config(name="CodeDeployDefault.AllAtOnce", id="00000000-0000-0000-0000-000000000001", minimum=MinimumHealthy("HOST_COUNT", 0)),
        Config(
            name="CodeDeployDefault.HalfAtATime", id="00000000-0000-0000-0000-000000000002", minimum=MinimumHealthy("FLEET_PERCENT", 50)
        ),
        Config(name=DEFAULT, id="00000000-0000-0000-0000-000000000003", minimum=MinimumHealthy("MOST_CONCURRENCY", 1)),
    )
}

OTHER_PLATFORMS = {
    **{f"CodeDeployDefault.LambdaCanary10Percent{n}Minutes": "Lambda" for n in (5, 10, 15, 30)},
    **{f"CodeDeployDefault.LambdaLinear10PercentEvery{n}": "Lambda" for n in ("1Minute", "2Minutes", "3Minutes", "10Minutes")},
    "CodeDeployDefault.LambdaAllAtOnce": "Lambda",
    **{f"CodeDeployDefault.ECSCanary10Percent{n}Minutes": "ECS" for n in (5, 15)},
    **{f"CodeDeployDefault.ECSLinear10PercentEvery{n}Minutes": "ECS" for n in (1, 3)},
    "CodeDeployDefault.ECSAllAtOnce": "ECS",
}
"""Name -> platform."""


def invalid_minimum(minimum: MinimumHealthy) -> str:
    """What is wrong with a custom minimum, "" when it may be used."""
    if minimum.type not in ("HOST_COUNT", "FLEET_PERCENT"):
        return "The minimum healthy hosts type must be HOST_COUNT or FLEET_PERCENT."
    if minimum.value < 0:
        return "The minimum healthy hosts value must not be negative."
    if minimum.type == "FLEET_PERCENT" and minimum.value >= 100:
        return "The minimum healthy hosts value must be less than 100 when the type is FLEET_PERCENT."
    return ""
