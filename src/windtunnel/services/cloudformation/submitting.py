"""What a request submits, made ready before its transaction: the template's text becomes values, conditions and an order, or AWS's error.

Invariant: nothing is changed here; everything that an operation needs to know of its template is in the `Submission`, so that the run that carries
it out does not read the template's text again, whatever newer code would make of it.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import msgspec

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Principal
from windtunnel.provision.warming import warm
from windtunnel.services.cloudformation import apart
from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.model import Value

BODY_LIMIT, URL_LIMIT = 51_200, 1_048_576


def invalid(message: str) -> AwsError:
    return AwsError("ValidationError", message)


class Submission(NamedTuple):
    """See `model.Template` for the members that it becomes. trouble: why the operation fails as soon as it begins, "" if it does not."""

    text: str
    processed: str
    significant: str
    parameters: dict[str, Any]
    given: dict[str, Value]
    conditions: dict[str, bool]
    needs: dict[str, list[str]]
    hidden: list[str]
    transforms: list[str]
    description: str
    zones: dict[str, list[str]]
    types: dict[str, str]
    """logical id -> type, of the resources that there shall be."""
    secret: bool
    """It tells of secrets: the stack's records are sealed."""
    trouble: str = ""

    @property
    def template(self) -> dict[str, Any]:
        """What the operation makes true, decoded anew each time."""
        decoded: dict[str, Any] = msgspec.json.decode(self.processed)
        return decoded


def text_of(ctx: Context, body: str | None, url: str | None) -> str:
    """The template as submitted."""
    if body is not None and url is not None:
        raise invalid("Both TemplateBody and TemplateURL cannot be specified.")
    if body is None and url is None:
        raise invalid("Either Template URL or Template Body must be specified.")
    if body is not None:
        if len(body.encode()) > BODY_LIMIT:
            raise invalid(
                f"1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to {BODY_LIMIT}"
            )
        return body
    return fetched(ctx, url or "")


def fetched(ctx: Context, url: str) -> str:
    """A template, or a policy, out of S3, read as the caller."""
    bucket, key, version = object_of(ctx, url)
    asked: dict[str, Any] = {"bucket": bucket, "key": key}
    if version:
        asked["version_id"] = version
    try:
        found = ctx.on_behalf("cloudformation").call("s3", "GetObject", **asked)
    except AwsError as error:
        if error.code == "NoSuchBucket":
            raise invalid(
                "S3 error: The specified bucket does not exist\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"
            ) from None
        said = "Access Denied" if error.code == "AccessDenied" else "The specified key does not exist."
        raise invalid(
            f"S3 error: {said}\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"
        ) from None
    data = b"".join(ctx.cloud.blobs.stream(found["Body"]))
    if len(data) > URL_LIMIT:
        raise invalid(f"Template may not exceed {URL_LIMIT} bytes in size.")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise invalid("Template format error: unsupported structure.") from None


def object_of(ctx: Context, url: str) -> tuple[str, str, str]:
    """(bucket, key, version) that an S3 address names: of AWS's own forms, or of this cloud's endpoint (path style)."""
    parts = urlsplit(url)
    host, path = parts.hostname or "", unquote(parts.path.lstrip("/"))
    version = next((item.partition("=")[2] for item in parts.query.split("&") if item.startswith("versionId=")), "")
    if parts.scheme == "s3":
        return host, path, version
    if parts.scheme not in ("http", "https") or not path:
        raise invalid("TemplateURL must be a supported URL.")
    own = urlsplit(ctx.cloud.endpoint).hostname or ""
    labels = host.split(".")
    if host in (own, "localhost", "127.0.0.1") or labels[0] == "s3" or labels[0].startswith("s3-"):
        bucket, _, key = path.partition("/")
        if bucket and key:
            return bucket, key, version
    elif host.endswith(("amazonaws.com", "amazonaws.com.cn")) and ".s3" in host:
        return host[: host.index(".s3")], path, version
    elif host.endswith(("." + own, ".localhost")):
        return labels[0], path, version
    raise invalid("TemplateURL must be a supported URL.")


def submit(
    ctx: Context,
    text: str,
    given: list[dict[str, Any]],
    *,
    stack_name: str,
    stack_arn: str,
    previous: dict[str, Value] | None = None,
    notification_arns: list[str] | None = None,
    capabilities: list[str] | None = None,
    check_capabilities: bool = True,
    expands_without_capability: bool = False,
) -> Submission:
    """Everything of a template that can be known before its resources exist. Raises AwsError in CloudFormation's words."""
    from windtunnel.services.cloudformation.language import parameters as p
    from windtunnel.services.cloudformation.language.environment import Environment
    from windtunnel.services.cloudformation.live_types import facts
    from windtunnel.services.cloudformation.reading import Opened, Understood, as_text
    from windtunnel.services.cloudformation.transforming import TransformFailed, transformed

    yes: list[str] | None = None
    if check_capabilities:
        yes = [*(capabilities or []), *(["CAPABILITY_AUTO_EXPAND"] if expands_without_capability else [])]
    before = {name: value.value for name, value in previous.items()} if previous is not None else None
    env = Environment(
        account=ctx.scope.account,
        region=ctx.scope.region,
        stack_name=stack_name,
        stack_id=stack_arn,
        partition=ctx.scope.partition,
        notification_arns=notification_arns or [],
        zones=zones(ctx, text),
        facts=facts(own(ctx)) if "ValueOf" in text else {},
    )
    trouble = ""
    found: Opened | Understood = apart.whole(ctx, text, given, before, yes, env)
    if isinstance(found, Opened):
        ssm, trouble = live_values(ctx, found.wanted)
        processed, changed = found.template, False
        if found.extended:
            template = json.loads(processed)
            try:
                parameters = p.resolved(p.declared(template), found.values, ssm)
                processed, changed = as_text(transformed(ctx, template, parameters, env)), True
            except TransformFailed as failure:
                trouble, processed = failure.message, as_text({"Resources": {}})
            except TemplateError as error:
                raise invalid(error.message) from None
        found = apart.rest(ctx, found, processed, ssm, yes, env, changed=changed)
        assert isinstance(found, Understood)
    preload(found.types)
    return Submission(text=text, zones=env.zones, trouble=trouble, **{name: getattr(found, name) for name in found.__struct_fields__})


def preload(types: dict[str, str]) -> None:
    """Schemas are files: they are read here, in a thread, and not when a resource's turn comes."""
    warm(types.values())


def own(ctx: Context) -> Context:
    """The cloud's own eyes, for what the caller needs no permission for."""
    return ctx.acting(Principal.service("windtunnel", ctx.scope.account))


def zones(ctx: Context, text: str) -> dict[str, list[str]]:
    """The availability zones, for templates that ask for them."""
    if "GetAZs" not in text:
        return {}
    found = {}
    for region in dict.fromkeys([ctx.scope.region, *(name for name in KNOWN_REGIONS if name in text)]):
        reply = own(ctx).in_scope(ctx.scope.account, region).call("ec2", "DescribeAvailabilityZones")
        found[region] = sorted(zone["ZoneName"] for zone in reply["AvailabilityZones"])
    return found


KNOWN_REGIONS = (
    "us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1", "eu-north-1",
    "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "ap-northeast-2", "ap-south-1", "sa-east-1", "ca-central-1",
)  # fmt: skip


def live_values(ctx: Context, wanted: list[Any]) -> tuple[dict[str, str], str]:
    """(values of SSM parameters, why the operation will fail). AWS-specific types are looked at with the cloud's own eyes."""
    from windtunnel.services.cloudformation.live_types import missing_value, parameter_values

    names = [name for lookup in wanted if lookup.kind == "ssm" for name in lookup.names]
    values = parameter_values(ctx, names)
    for lookup in wanted:
        if lookup.kind == "ssm":
            continue
        absent = missing_value(own(ctx), lookup.kind, lookup.names)
        if absent is not None:
            return values, f"Parameter validation failed: parameter value {absent} for parameter name {lookup.key} does not exist"
    return values, ""
