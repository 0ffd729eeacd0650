"""Transforms, in AWS's order: inline ones from the inside out, then the template's own as they are listed (AWS CloudFormation user guide, "Using macros").

AWS::LanguageExtensions is the language's (language/extensions.py), AWS::Include is read from S3 as the caller, AWS::Serverless is aws-sam-translator's in a
helper process. Macros of users are functions; Windtunnel runs none yet, so there is none of any name, and AWS's words for that are the answer.
"""

from __future__ import annotations

from typing import Any

from windtunnel.helpers.pool import HelperTimedOut
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.principal import Principal
from windtunnel.services.cloudformation.language.environment import Environment
from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.extensions import expand
from windtunnel.services.cloudformation.language.macros import (
    INCLUDE,
    LANGUAGE_EXTENSIONS,
    SERVERLESS,
    Macro,
    looped,
    macros,
    put,
    transform_name,
    transform_parameters,
    transforms,
)
from windtunnel.services.cloudformation.language.parse import parse, sound
from windtunnel.services.cloudformation.language.scope import Scope

NOT_RUN = frozenset(
    {"AWS::CodeDeployBlueGreen", "AWS::CodeStar", "AWS::ServiceCatalog", "AWS::SecretsManager-2020-07-23", "AWS::SecretsManager-2024-09-16"}
)
"""AWS's own transforms that do not run here."""


class TransformFailed(Exception):
    """A transform did not work: the operation begins and fails with this reason; a change set is FAILED."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"Transform {name} failed with: {why}")
        self.message = f"Transform {name} failed with: {why}"


def transforms_of(template: dict[str, Any]) -> list[str]:
    """The names of the template's top-level transforms, in their order."""
    return [transform_name(entry) for entry in transforms(template)]


def transformed(ctx: Context, template: dict[str, Any], parameters: dict[str, Any], env: Environment) -> dict[str, Any]:
    """After every transform. Raises TransformFailed, TemplateError, AwsError."""
    known = (LANGUAGE_EXTENSIONS, INCLUDE, SERVERLESS)
    for name in (*transforms_of(template), *(macro.name for macro in macros(template))):
        if name in NOT_RUN:
            raise not_built("cloudformation", "CreateStack", f"the transform {name}")
        if name not in known:
            raise AwsError("ValidationError", f"No transform named {ctx.scope.account}::{name} found.")
    while found := macros(template):
        template = put(template, found[0], _inline(ctx, found[0], parameters, env))
    for entry in transforms(template):
        name = transform_name(entry)
        if name == LANGUAGE_EXTENSIONS:
            template = _expanded(template, parameters, env)
        elif name == INCLUDE:
            template = {**template, **_included(ctx, transform_parameters(entry), parameters, env)}
        else:
            template = _serverless(ctx, template, parameters)
    left = looped(template)
    if left:
        # Only AWS::LanguageExtensions understands loops.
        raise TemplateError(f"Template format error: [{left}] resource definition is malformed")
    return {name: part for name, part in template.items() if name != "Transform"}


def _expanded(template: dict[str, Any], parameters: dict[str, Any], env: Environment) -> dict[str, Any]:
    said = f"Transform {LANGUAGE_EXTENSIONS} failed with: "
    try:
        return expand(template, parameters, env)
    except TemplateError as error:
        if not error.message.startswith(said):
            raise
        raise TransformFailed(LANGUAGE_EXTENSIONS, error.message.removeprefix(said)) from None


def _inline(ctx: Context, macro: Macro, parameters: dict[str, Any], env: Environment) -> Any:
    if macro.name != INCLUDE:
        raise TransformFailed(macro.name, "it can only be declared at the top level of the template.")
    return _included(ctx, macro.parameters, parameters, env)


def _included(ctx: Context, given: dict[str, Any], parameters: dict[str, Any], env: Environment) -> dict[str, Any]:
    """What lies at `Location`, JSON or YAML."""
    from windtunnel.services.cloudformation.language.resolve import resolve
    from windtunnel.services.cloudformation.submitting import object_of

    location = resolve(given.get("Location", ""), Scope(parameters=parameters, env=env))
    if not isinstance(location, str) or not location:
        raise TransformFailed(INCLUDE, "The location parameter is not a valid S3 uri.")
    try:
        bucket, key, version = object_of(ctx, location)
    except AwsError:
        raise TransformFailed(INCLUDE, "The location parameter is not a valid S3 uri.") from None
    asked = {"bucket": bucket, "key": key, **({"version_id": version} if version else {})}
    try:
        found = ctx.on_behalf("cloudformation").call("s3", "GetObject", **asked)
    except AwsError as error:
        if error.code == "NoSuchBucket":
            raise TransformFailed(INCLUDE, f"S3 bucket [{bucket}] does not exist.") from None
        if error.code in ("NoSuchKey", "NoSuchVersion"):
            raise TransformFailed(INCLUDE, f"The specified key does not exist: {location}") from None
        raise TransformFailed(INCLUDE, f"Access Denied: {location}") from None
    text = b"".join(ctx.cloud.blobs.stream(found["Body"])).decode("utf-8", "replace")
    try:
        return parse(text)
    except TemplateError as error:
        raise TransformFailed(INCLUDE, f"The specified S3 object's content should be valid Yaml/JSON ({error.message})") from None


def _serverless(ctx: Context, template: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    plain = {name: ",".join(value) if isinstance(value, list) else value for name, value in parameters.items()}
    helper, function = ctx.cloud.part("helper"), "windtunnel.services.cloudformation.serverless:translated"
    try:
        told = helper.run(function, template, plain, _managed_policies(ctx), ctx.scope.region, seconds=60.0)
    except HelperTimedOut:
        raise TransformFailed(SERVERLESS, "it took longer than a minute.") from None
    if "error" in told:
        raise TransformFailed(SERVERLESS, told["error"])
    found: dict[str, Any] = sound(told["template"])
    return found


def _managed_policies(ctx: Context) -> dict[str, str]:
    """AWS's managed policies by name, which SAM templates use for ARNs."""
    own = ctx.acting(Principal.service("windtunnel", ctx.scope.account))
    found: dict[str, str] = {}
    marker: dict[str, str] = {}
    while True:
        reply = own.call("iam", "ListPolicies", scope="AWS", max_items=1000, **marker)
        found |= {policy["PolicyName"]: policy["Arn"] for policy in reply["Policies"]}
        if not reply.get("IsTruncated"):
            return found
        marker = {"marker": reply["Marker"]}
