"""The registry of types, as far as it is read: AWS's own resource types (API reference: DescribeType, ListTypes, ListTypeVersions, …).

Invariant: what is told of a type is its provider schema; nobody has registered or activated any other here, for those operations are not built.
A type that Windtunnel does not run is described all the same: the registry says what AWS has, `windtunnel coverage --types` what runs.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads
from windtunnel.kernel.typed import from_json
from windtunnel.provision import schemas
from windtunnel.services.cloudformation.lookup import on_everything

PAGE = 100
VERSION = "00000001"
PUBLISHED = 1_633_046_400.0
"""2021-10-01: the day on which this API was complete. The schemas do not say when each was registered."""
_ARN = "arn:aws:cloudformation:{region}::type/resource/{name}"


class Described(msgspec.Struct, rename="camel"):
    """What is told of a document."""

    description: str = ""
    source_url: str = ""
    documentation_url: str = ""
    handlers: dict[str, Any] = {}


def type_arn(ctx: Context, name: str) -> str:
    return _ARN.format(region=ctx.scope.region, name=name.replace("::", "-"))


def provisioning(handlers: Collection[str]) -> str:
    """By the handlers there are, as CloudFormation decides it at registration (ListTypes, ProvisioningType)."""
    if not {"create", "read", "delete"} <= set(handlers):
        return "NON_PROVISIONABLE"
    return "FULLY_MUTABLE" if "update" in handlers else "IMMUTABLE"


def registry_error(message: str) -> AwsError:
    return AwsError("CFNRegistryException", message)


def not_found(name: str) -> AwsError:
    return AwsError("TypeNotFoundException", f"The type '{name}' cannot be found.")


def named(ctx: Context, kind: str | None, type_name: str | None, arn: str | None) -> str:
    """The name of an AWS resource type that is asked for. Raises AwsError."""
    if arn:
        prefix = type_arn(ctx, "")
        name = arn.removeprefix(prefix).split("/")[0].replace("-", "::") if arn.startswith(prefix) else ""
        if not schemas.known(name):
            raise not_found(arn)
        return name
    if not type_name or not kind:
        raise registry_error("Either TypeName and Type, or Arn must be specified.")
    if kind != "RESOURCE" or not schemas.known(type_name):
        raise not_found(type_name)
    return type_name


@reads("cloudformation", "DescribeType", authorize=on_everything("DescribeType"), acts="Type TypeName Arn VersionId", cost="scan")
def describe_type(
    ctx: Context, type: str | None = None, type_name: str | None = None, arn: str | None = None, version_id: str | None = None
) -> Reply:
    name = named(ctx, type, type_name, arn)
    if version_id not in (None, VERSION):
        raise not_found(name)
    text = schemas.document_text(name)
    assert text is not None
    told = from_json(text, Described)
    reply: Reply = {
        "Arn": type_arn(ctx, name),
        "Type": "RESOURCE",
        "TypeName": name,
        "DefaultVersionId": VERSION,
        "IsDefaultVersion": True,
        "Description": told.description[:1024],
        "Schema": text,
        "ProvisioningType": provisioning(told.handlers),
        "DeprecatedStatus": "LIVE",
        "Visibility": "PUBLIC",
        "TimeCreated": PUBLISHED,
        "LastUpdated": PUBLISHED,
        "IsActivated": True,
    }
    optional = {"SourceUrl": told.source_url, "DocumentationUrl": told.documentation_url}
    return reply | {member: url for member, url in optional.items() if url.startswith("https://")}


@reads(
    "cloudformation",
    "ListTypes",
    authorize=on_everything("ListTypes"),
    acts="Visibility ProvisioningType DeprecatedStatus Type Filters.Category Filters.TypeNamePrefix MaxResults NextToken",
    cost="scan",
)
def list_types(
    ctx: Context,
    visibility: str = "PRIVATE",
    provisioning_type: str | None = None,
    deprecated_status: str = "LIVE",
    type: str = "RESOURCE",
    filters: dict[str, str] | None = None,
    max_results: int = PAGE,
    next_token: str | None = None,
) -> Reply:
    """Public types are AWS's; an account's own (PRIVATE, the default) are those that it has activated or registered: AWS's are all active."""
    wish = filters or {}
    asked = (visibility, type, deprecated_status, wish.get("Category", "AWS_TYPES"))
    names = schemas.all_types() if asked == ("PUBLIC", "RESOURCE", "LIVE", "AWS_TYPES") else []
    names = [name for name in names if name.startswith(wish.get("TypeNamePrefix", ""))]
    shown: list[dict[str, Any]] = []
    for name in names:
        if next_token is not None and name <= next_token:
            continue
        summary = _summary(ctx, name, provisioning_type)
        if summary is not None:
            shown.append(summary)
        if len(shown) > max_results:
            return {"TypeSummaries": shown[:max_results], "NextToken": shown[max_results - 1]["TypeName"]}
    return {"TypeSummaries": shown}


def _summary(ctx: Context, name: str, provisioning_type: str | None) -> dict[str, Any] | None:
    """A type in the list; None when it is provisioned otherwise. Reads the head of its document: nothing is compiled for a list."""
    text = schemas.document_text(name)
    told = from_json(text or "{}", Described)
    if provisioning_type is not None and provisioning(told.handlers) != provisioning_type:
        return None
    return {
        "Type": "RESOURCE",
        "TypeName": name,
        "DefaultVersionId": VERSION,
        "TypeArn": type_arn(ctx, name),
        "LastUpdated": PUBLISHED,
        "Description": told.description[:1024],
        "IsActivated": True,
    }


@reads(
    "cloudformation",
    "ListTypeVersions",
    authorize=on_everything("ListTypeVersions"),
    acts="Type TypeName Arn MaxResults NextToken DeprecatedStatus",
    cost="scan",
)
def list_type_versions(
    ctx: Context,
    type: str | None = None,
    type_name: str | None = None,
    arn: str | None = None,
    max_results: int = PAGE,
    next_token: str | None = None,
    deprecated_status: str = "LIVE",
) -> Reply:
    """AWS's types have one version."""
    name = named(ctx, type, type_name, arn)
    version = {
        "Type": "RESOURCE",
        "TypeName": name,
        "VersionId": VERSION,
        "IsDefaultVersion": True,
        "Arn": f"{type_arn(ctx, name)}/{VERSION}",
        "TimeCreated": PUBLISHED,
    }
    return {"TypeVersionSummaries": [version] if deprecated_status == "LIVE" and next_token is None else []}


@reads("cloudformation", "DescribeTypeRegistration", authorize=on_everything("DescribeTypeRegistration"), acts="RegistrationToken")
def describe_type_registration(ctx: Context, registration_token: str) -> Reply:
    """RegisterType is not built: no token is known."""
    raise registry_error(f"No registration token matches {registration_token}.")


@reads(
    "cloudformation",
    "ListTypeRegistrations",
    authorize=on_everything("ListTypeRegistrations"),
    acts="Type TypeName TypeArn RegistrationStatusFilter MaxResults NextToken",
)
def list_type_registrations(ctx: Context, **_: Any) -> Reply:
    """RegisterType is not built: there are none."""
    return {"RegistrationTokenList": []}
