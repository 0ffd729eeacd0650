"""Which action types there are: those that run here register themselves; the others of AWS are known by name and refused by it.

Invariant: a pipeline can only be created with actions that really run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from windtunnel.jobs import Run
from windtunnel.kernel.errors import AwsError
from windtunnel.services.codepipeline.model import Act, Outcome


class NotRunHere(Exception):
    """A configuration that AWS takes and that does not run here. Its text names it."""


Runner = Callable[[Run, Act], Outcome]
Configuration = Mapping[str, str]
F = TypeVar("F", bound=Runner)
DAY = 86400.0


def anything(configuration: Configuration) -> None:
    """check= for providers whose keys say everything."""


def nothing(configuration: Configuration) -> str | None:
    """watch= for providers that never start a pipeline."""
    return None


class ActionType(msgspec.Struct, frozen=True):
    """An action type that runs here.

    inputs, outputs: least and greatest number of artifacts. keys: configuration key -> required. timeout: seconds for its outside
    work, unless the action says its own. check: raises ValueError with what is wrong, NotRunHere for what AWS takes and we do not run.
    watch: the change by which the action starts its pipeline (see Pipeline.watches).
    """

    category: str
    provider: str
    run: Runner
    inputs: tuple[int, int]
    outputs: tuple[int, int]
    keys: Mapping[str, bool]
    timeout: float
    check: Callable[[Configuration], None]
    watch: Callable[[Configuration], str | None]

    def described(self) -> dict[str, Any]:
        """The ActionType shape of ListActionTypes."""
        return {
            "id": {"category": self.category, "owner": "AWS", "provider": self.provider, "version": "1"},
            "settings": {},
            "actionConfigurationProperties": [
                {"name": name, "required": required, "key": required, "secret": False, "queryable": False, "type": "String"}
                for name, required in self.keys.items()
            ],
            "inputArtifactDetails": {"minimumCount": self.inputs[0], "maximumCount": self.inputs[1]},
            "outputArtifactDetails": {"minimumCount": self.outputs[0], "maximumCount": self.outputs[1]},
        }


ACTION_TYPES: dict[tuple[str, str], ActionType] = {}

NOT_BUILT = {
    "Source": "ECR CodeStarSourceConnection GitHub",
    "Build": "ECRBuildAndPublish",
    "Test": "DeviceFarm",
    "Deploy": "ECS CodeDeployToECS CloudFormation CloudFormationStackSet CloudFormationStackInstances ServiceCatalog ElasticBeanstalk AppConfig EC2 EKS Lambda OpsWorks AlexaSkillsKit",
    "Invoke": "Lambda StepFunctions InspectorScan CodePipeline Snyk",
    "Compute": "Commands",
}
"""AWS's other providers, by category: CreatePipeline names them in its refusal."""


def action_type(
    category: str,
    provider: str,
    *,
    inputs: tuple[int, int] = (0, 0),
    outputs: tuple[int, int] = (0, 0),
    required: str = "",
    optional: str = "",
    timeout: float = DAY,
    check: Callable[[Configuration], None] = anything,
    watch: Callable[[Configuration], str | None] = nothing,
) -> Callable[[F], F]:
    """Register how an action of this category and provider runs. required, optional: blank-separated configuration keys."""
    keys = {**dict.fromkeys(required.split(), True), **dict.fromkeys(optional.split(), False)}

    def register(run: F) -> F:
        if (category, provider) in ACTION_TYPES:
            raise ValueError(f"two action types {category}/{provider}")
        ACTION_TYPES[category, provider] = ActionType(category, provider, run, inputs, outputs, keys, timeout, check, watch)
        return run

    return register


def find(type_id: Mapping[str, str], action: str, region: str) -> ActionType | None:
    """The action type of a declaration; None if AWS has it and we do not; AWS's error if nobody has it."""
    category, owner, provider, version = (type_id[key] for key in ("category", "owner", "provider", "version"))
    known = provider in NOT_BUILT.get(category, "").split() or (category, provider) in ACTION_TYPES
    third_party = provider in ("GitHub", "AlexaSkillsKit", "Snyk")
    if not known or version != "1" or owner != ("ThirdParty" if third_party else "AWS"):
        raise AwsError(
            "InvalidActionDeclarationException",
            f"ActionType (Category: '{category}', Provider: '{provider}', Owner: '{owner}', Version: '{version}') in action '{action}'"
            f" is not available in region {region.upper().replace('-', '_')}",
        )
    return ACTION_TYPES.get((category, provider))
