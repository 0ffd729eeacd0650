"""AWS::Logs::LogGroup and AWS::Logs::LogStream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.provision.handling import Direct, tag_changes, with_stack_tags
from windtunnel.provision.registry import Created, Failed, Name, Properties, Resource, Wanted, resource_type
from windtunnel.provision.showing import some, tag_map, tags_shown
from windtunnel.services.logs.resources.shared import MISSING, every, gently, logs, place

_NOT_BUILT = {
    "DataProtectionPolicy": "PutDataProtectionPolicy",
    "FieldIndexPolicies": "PutIndexPolicy",
    "BearerTokenAuthenticationEnabled": "PutBearerTokenAuthentication",
}
"""Property -> the operation that sets it, which refuses by name until it is built."""


@resource_type("AWS::Logs::LogGroup")
class LogGroupType(Direct):
    """GetAtt Arn ends in `:*`, as policies want it."""

    service = "logs"
    calls = (
        "CreateLogGroup DeleteLogGroup PutRetentionPolicy DeleteRetentionPolicy"
        " AssociateKmsKey DisassociateKmsKey PutLogGroupDeletionProtection TagResource UntagResource"
    )
    name = Name("LogGroupName", limit=512)
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        self._refuse(ctx, {}, props)
        logs(
            ctx,
            "CreateLogGroup",
            logGroupName=wanted.name,
            kmsKeyId=props.get("KmsKeyId"),
            logGroupClass=props.get("LogGroupClass"),
            deletionProtectionEnabled=props.get("DeletionProtectionEnabled"),
            tags=tag_map(with_stack_tags(props.get("Tags"), wanted)) or None,
        )
        if props.get("RetentionInDays") is not None:
            logs(ctx, "PutRetentionPolicy", logGroupName=wanted.name, retentionInDays=int(props["RetentionInDays"]))
        self._police(ctx, self._arn(ctx, wanted.name), {}, props)
        return Created(id=wanted.name, attributes={"Arn": self._arn(ctx, wanted.name)})

    def _arn(self, ctx: Context, name: str) -> str:
        return ctx.arn("logs", f"log-group:{name}:*")

    def _refuse(self, ctx: Context, old: Properties, new: Properties) -> None:
        for name, operation in _NOT_BUILT.items():
            if new.get(name) and new.get(name) != old.get(name):
                logs(ctx, operation)

    def _police(self, ctx: Context, arn: str, old: Properties, new: Properties) -> None:
        """ResourcePolicyDocument is a policy of this group alone: PutResourcePolicy with its ARN."""
        if new.get("ResourcePolicyDocument") and new["ResourcePolicyDocument"] != old.get("ResourcePolicyDocument"):
            logs(ctx, "PutResourcePolicy", resourceArn=arn, policyDocument=new["ResourcePolicyDocument"])

    def _found(self, ctx: Context, name: str) -> Any:
        return next(
            (one for one in every(ctx, "DescribeLogGroups", "logGroups", logGroupNamePrefix=name) if one["logGroupName"] == name), None
        )

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        found = self._found(ctx, resource.id)
        if found is None:
            return None
        names = {
            "LogGroupName": "logGroupName",
            "KmsKeyId": "kmsKeyId",
            "RetentionInDays": "retentionInDays",
            "LogGroupClass": "logGroupClass",
        }
        shown = {name: found[member] for name, member in names.items() if member in found}
        shown |= {"Arn": self._arn(ctx, resource.id), "DeletionProtectionEnabled": bool(found.get("deletionProtectionEnabled"))}
        return shown | tags_shown(logs(ctx, "ListTagsForResource", resourceArn=self._arn(ctx, resource.id).removesuffix(":*"))["tags"])

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        old, name = resource.properties, resource.id
        self._refuse(ctx, old, new)
        if old.get("LogGroupClass", "STANDARD") != new.get("LogGroupClass", "STANDARD"):
            raise Failed("The property LogGroupClass cannot be updated.", "NotUpdatable")
        if old.get("RetentionInDays") != new.get("RetentionInDays"):
            if new.get("RetentionInDays") is None:
                logs(ctx, "DeleteRetentionPolicy", logGroupName=name)
            else:
                logs(ctx, "PutRetentionPolicy", logGroupName=name, retentionInDays=int(new["RetentionInDays"]))
        if old.get("KmsKeyId") != new.get("KmsKeyId"):
            if new.get("KmsKeyId"):
                logs(ctx, "AssociateKmsKey", logGroupName=name, kmsKeyId=new["KmsKeyId"])
            else:
                logs(ctx, "DisassociateKmsKey", logGroupName=name)
        if bool(old.get("DeletionProtectionEnabled")) != bool(new.get("DeletionProtectionEnabled")):
            protected = bool(new.get("DeletionProtectionEnabled"))
            logs(ctx, "PutLogGroupDeletionProtection", logGroupIdentifier=name, deletionProtectionEnabled=protected)
        self._police(ctx, self._arn(ctx, name), old, new)
        added, gone = tag_changes(old.get("Tags"), new.get("Tags"))
        arn = self._arn(ctx, name).removesuffix(":*")
        if gone:
            logs(ctx, "UntagResource", resourceArn=arn, tagKeys=gone)
        if added:
            logs(ctx, "TagResource", resourceArn=arn, tags=tag_map(added))
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        gently(ctx, "DeleteLogGroup", logGroupName=resource.id)
        return True

    def list(self, ctx: Context) -> Iterator[str]:
        return (group["logGroupName"] for group in every(ctx, "DescribeLogGroups", "logGroups"))


@resource_type("AWS::Logs::LogStream")
class LogStreamType(Direct):
    """Ref is the stream's name; Cloud Control calls it `GROUP|STREAM`."""

    service = "logs"
    calls = "CreateLogStream DeleteLogStream"
    name = Name("LogStreamName", limit=512)
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        logs(ctx, "CreateLogStream", logGroupName=props["LogGroupName"], logStreamName=wanted.name)
        return Created(id=wanted.name)

    def _place(self, resource: Resource) -> tuple[str, str]:
        group, stream = place(resource, "LogGroupName", "LogStreamName")
        return group, stream

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        group, stream = self._place(resource)
        reply = gently(ctx, "DescribeLogStreams", logGroupName=group, logStreamNamePrefix=stream, limit=1)
        if reply is None or not any(one["logStreamName"] == stream for one in reply["logStreams"]):
            return None
        return some({"LogGroupName": group, "LogStreamName": stream}, "LogGroupName", "LogStreamName")

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        group, stream = self._place(resource)
        gently(ctx, "DeleteLogStream", logGroupName=group, logStreamName=stream)
        return True

    def list(self, ctx: Context) -> Iterator[str]:
        for group in every(ctx, "DescribeLogGroups", "logGroups"):
            for stream in every(ctx, "DescribeLogStreams", "logStreams", logGroupName=group["logGroupName"]):
                yield f"{group['logGroupName']}|{stream['logStreamName']}"
