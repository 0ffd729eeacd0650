"""Plausible input for any operation, made from its model: the least that a client can send, and that plus one member.

Values of the same name are the same everywhere (`roleArn` is a role, `repositoryName` the seeded repository), so that a call
reaches as far into an operation as one can without knowing it.
"""

from __future__ import annotations

from typing import Any

from tables import ALSO, NAMES
from tables.shared import POLICY, ROLE, TRUST

from harness import ACCOUNT
from windtunnel.kernel.stock import STOCK_AMI
from windtunnel.wire.models import OperationModel, Ref, ServiceModel, Shape
from windtunnel.wire.protocols.patterns import compiled_pattern

KNOWN: dict[str, Any] = {
    "assumerolepolicydocument": TRUST,
    "bucket": "bucket",
    "key": "key",
    "copysource": "bucket/key",
    "document": POLICY,
    "expectedbucketowner": ACCOUNT,
    "expectedsourcebucketowner": ACCOUNT,
    "eventpattern": '{"source":["aws.codecommit"]}',
    "groupname": "group",
    "instanceprofilename": "Web",
    "loggroupname": "group",
    "logstreamname": "stream",
    "policyarn": f"arn:aws:iam::{ACCOUNT}:policy/P",
    "policydocument": POLICY,
    "policyname": "p",
    "policy": POLICY,
    "projectname": "project",
    "repositoryname": "repo",
    "rolearn": ROLE,
    "servicerole": ROLE,
    "servicerolearn": ROLE,
    "rolename": "Deploy",
    "rolesessionname": "session",
    "applicationname": "app",
    "deploymentgroupname": "fleet",
    "deploymentconfigname": "CodeDeployDefault.OneAtATime",
    "username": "alice",
    "servicename": "codecommit.amazonaws.com",
    "permissionsboundary": "arn:aws:iam::aws:policy/PowerUserAccess",
    "branchname": "main",
    "bucketname": "bucket",
    "pipelinename": "pipeline",
    "eventbusname": "default",
    "rule": "rule",
    "computetype": "BUILD_GENERAL1_SMALL",
    "image": "aws/codebuild/standard:7.0",
    "artifacts.type": "NO_ARTIFACTS",
    "source.type": "S3",
    "source.location": "bucket/key",
    "scheduleexpression": "rate(5 minutes)",
    "buildspec": "version: 0.2\nphases:\n  build:\n    commands: [true]\n",
    "commitid": "0" * 40,
    "iaminstanceprofile.name": "Web",
    "iaminstanceprofile.arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/Web",
    "imageid": STOCK_AMI,
    "instanceid": "i-0123456789abcdef0",
    "instanceids": ["i-0123456789abcdef0"],
    "resources": ["i-0123456789abcdef0"],
    "mincount": 1,
    "maxcount": 1,
    "instancetype": "t3.micro",
    "tagkeys": ["k"],
    "versionid": "v1",
}
SAMPLE_BLOB = b"alpha"
PLAUSIBLE: Any = object()
STRINGS = (
    "alpha-1",
    "alpha1",
    "Alpha",
    "a",
    "1",
    "1.0",
    "{}",
    "/alpha",
    "arn:aws:iam::123456789012:role/Deploy",
    "arn:aws:s3:::bucket/key",
    "123456789012",
    "00000000-0000-0000-0000-000000000000",
    "AKIAXXXXXXXXXXXXXXXX",
    "0" * 32,
    "0" * 40,
    "0" * 64,
    "2030-01-01T00:00:00Z",
    "https://example.com/",
    "a@example.com",
    "i-0123456789abcdef0",
    "AWS",
    "aws:s3",
)


class Samples:
    """Values for one service's shapes."""

    def __init__(self, model: ServiceModel) -> None:
        self.model = model

    def minimal(self, operation: OperationModel) -> dict[str, Any]:
        """The required members only."""
        return self._structure(operation.input_shape, ())

    def usual(self, operation: OperationModel) -> dict[str, Any]:
        """The required members, and those that AWS asks for although its model does not say so."""
        extra = ALSO.get(f"{self.model.name}.{operation.name}", "").split()
        return self.minimal(operation) | {name: self._something(operation.input_shape.members[name], name, ()) for name in extra}

    def with_member(self, operation: OperationModel, path: str) -> dict[str, Any]:
        """The required members, and the one at the path (wire/coverage.py's syntax) with all that it stands in."""
        return self.with_value(operation, path, PLAUSIBLE)

    def with_value(self, operation: OperationModel, path: str, value: Any) -> dict[str, Any]:
        """As with_member, the value given."""
        steps = path.replace("[]", ".[]").replace("{}", ".{}").split(".")
        found: dict[str, Any] = self._along(operation.input_shape, steps, (), value)
        return found

    def value(self, ref: Ref, name: str, above: tuple[str, ...]) -> Any:
        """A value of the shape that a member of this name may have."""
        shape = self.model.shape(ref.shape)
        known = self._known(name, above)
        if known is not None and _fits(known, shape):
            return known
        if shape.type == "structure":
            return self._structure(shape, (*above, name))
        if shape.type == "list":
            assert shape.member is not None
            element = self._something(shape.member, name.removesuffix("s"), above)
            return [element] * max(1, int(shape.min or 1))
        if shape.type == "map":
            assert shape.key is not None and shape.value is not None
            return {self.value(shape.key, "", above): self.value(shape.value, "", above)}
        return _scalar(shape)

    def _known(self, name: str, above: tuple[str, ...]) -> Any:
        lower = name.lower()
        inner = f"{above[-1].lower()}.{lower}" if above else lower
        if f"{self.model.name}.{inner}" in NAMES:
            return NAMES[f"{self.model.name}.{inner}"]
        return KNOWN.get(inner, KNOWN.get(lower))

    def _structure(self, shape: Shape, above: tuple[str, ...]) -> dict[str, Any]:
        names = shape.required or (list(shape.members)[:1] if shape.union else [])
        return {name: self.value(shape.members[name], name, above) for name in names if len(above) < 12}

    def _along(self, shape: Shape, steps: list[str], above: tuple[str, ...], value: Any) -> Any:
        head, rest = steps[0], steps[1:]
        ref = {"[]": shape.member, "{}": shape.value}.get(head) or shape.members[head]
        if rest and rest != ["*"]:
            inner = self._along(self.model.shape(ref.shape), rest, above if head in ("[]", "{}") else (*above, head), value)
        else:
            inner = self._something(ref, head, above) if value is PLAUSIBLE else value
        if head == "[]":
            return [inner] * max(1, int(shape.min or 1))
        if head == "{}":
            assert shape.key is not None
            return {self.value(shape.key, "", above): inner}
        return {head: inner} if shape.union else self._structure(shape, above) | {head: inner}

    def _something(self, ref: Ref, name: str, above: tuple[str, ...]) -> Any:
        """A value that leaves a trace in every protocol: an empty structure has none in a form."""
        shape = self.model.shape(ref.shape)
        found = self.value(ref, name, above)
        if found == {} and shape.members:
            first, below = next(iter(shape.members.items()))
            return {first: self.value(below, first, (*above, name))}
        return found


def _fits(value: Any, shape: Shape) -> bool:
    if shape.type in ("integer", "long"):
        return isinstance(value, int)
    if shape.type == "list":
        return isinstance(value, list)
    return shape.type == "string" and isinstance(value, str) and _allowed(value, shape)


def _allowed(text: str, shape: Shape) -> bool:
    if shape.enum:
        return text in shape.enum
    if len(text) < (shape.min or 0) or len(text) > (shape.max or 1 << 30):
        return False
    pattern = compiled_pattern(shape.pattern) if shape.pattern else None
    return pattern is None or pattern.matches(text) is not None


def _scalar(shape: Shape) -> Any:
    if shape.type == "string":
        if shape.enum:
            return shape.enum[0]
        padded = [text.ljust(int(shape.min or 0), "a") for text in STRINGS]
        return next((text for text in (*STRINGS, *padded) if _allowed(text, shape)), "alpha-1")
    if shape.type in ("integer", "long"):
        return max(1, int(shape.min or 0))
    if shape.type in ("float", "double"):
        return float(max(1, shape.min or 0))
    return {"boolean": True, "timestamp": 1_900_000_000, "blob": SAMPLE_BLOB}.get(shape.type, "alpha-1")
