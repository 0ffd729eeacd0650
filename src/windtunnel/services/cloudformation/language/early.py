"""What a template says that can never come true, found before anything is made of it. Pure.

Invariant: only errors that no resource's making could avert are raised here; whatever hangs on a resource waits for its turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from windtunnel.services.cloudformation.language.environment import Environment
from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.resolve import resolve
from windtunnel.services.cloudformation.language.scope import UNKNOWN, Scope

CERTAIN = ("Template error: Fn::Select cannot select", "Template error: Unable to get mapping for")
SECURE = "{{resolve:ssm-secure:"
SECURE_PROPERTIES = frozenset({
    "AWS::DirectoryService::MicrosoftAD/Properties/Password",
    "AWS::DirectoryService::SimpleAD/Properties/Password",
    "AWS::ElastiCache::ReplicationGroup/Properties/AuthToken",
    "AWS::IAM::User/Properties/LoginProfile/Password",
    "AWS::KinesisFirehose::DeliveryStream/Properties/RedshiftDestinationConfiguration/Password",
    "AWS::OpsWorks::App/Properties/AppSource/Password",
    "AWS::OpsWorks::Stack/Properties/CustomCookbooksSource/Password",
    "AWS::OpsWorks::Stack/Properties/RdsDbInstances/DbPassword",
    "AWS::RDS::DBCluster/Properties/MasterUserPassword",
    "AWS::RDS::DBInstance/Properties/MasterUserPassword",
    "AWS::Redshift::Cluster/Properties/MasterUserPassword",
})  # fmt: skip
"""Where a SecureString may go (user guide, dynamic references to secure strings); anywhere else its value would be seen."""


def check_early(
    template: Mapping[str, Any],
    text: str,
    names: Iterable[str],
    parameters: Mapping[str, Any],
    true: Mapping[str, bool],
    env: Environment,
) -> None:
    """names: the resources that there shall be; text: the template as JSON, by which most templates are known to need no look."""
    if SECURE in text:
        wrong = sorted({place for name in names for place in _secure(template["Resources"][name]) if place not in SECURE_PROPERTIES})
        if wrong:
            raise TemplateError(f"SSM Secure reference is not supported in: [{', '.join(wrong)}]")
    if '"Fn::Select"' not in text and '"Fn::FindInMap"' not in text:
        return
    scope = Scope(
        parameters=parameters,
        env=env,
        conditions=true,
        mappings=template.get("Mappings") or {},
        refs=lambda logical: UNKNOWN,
        attributes=lambda logical, name: UNKNOWN,
        imports=lambda name: UNKNOWN,
    )
    for name in names:
        properties = template["Resources"][name].get("Properties")
        if properties and _asks(properties):
            try:
                resolve(properties, scope)
            except TemplateError as error:
                if error.message.startswith(CERTAIN):
                    raise
            except KeyError:
                pass


def _asks(node: Any) -> bool:
    if isinstance(node, dict):
        return "Fn::Select" in node or "Fn::FindInMap" in node or any(_asks(part) for part in node.values())
    return isinstance(node, list) and any(_asks(part) for part in node)


def _secure(spec: Mapping[str, Any]) -> Iterator[str]:
    def walk(node: Any, place: str) -> Iterator[str]:
        if isinstance(node, str):
            if SECURE in node:
                yield place
        elif isinstance(node, dict):
            for name, part in node.items():
                yield from walk(part, place if name.startswith("Fn::") else f"{place}/{name}")
        elif isinstance(node, list):
            for part in node:
                yield from walk(part, place)

    return walk(spec.get("Properties") or {}, f"{spec['Type']}/Properties")
