"""Source/S3: the newest version of an object in a versioned bucket, copied into the artifact bucket."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from windtunnel.jobs import Run
from windtunnel.kernel.context import Context, Event
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import listens
from windtunnel.kernel.trail import trail
from windtunnel.kernel.typed import convert
from windtunnel.services.codepipeline.acting import DENIED, artifact_denied, in_role
from windtunnel.services.codepipeline.catalog import Configuration, action_type
from windtunnel.services.codepipeline.model import Act, ActionFailed, Outcome, Revision
from windtunnel.services.codepipeline.starting import source_changed

KEYS = "PollForSourceChanges AllowOverrideForS3ObjectKey"
MISSING = frozenset({"NoSuchKey", "NoSuchVersion", "404", "NotFound"})


def check(configuration: Configuration) -> None:
    for key in KEYS.split():
        if configuration.get(key, "true").lower() not in ("true", "false"):
            raise ValueError(f"{key} must be true or false")


def watch(configuration: Configuration) -> str | None:
    if configuration.get("PollForSourceChanges", "true").lower() == "false":
        return None
    return watched(configuration["S3Bucket"], configuration["S3ObjectKey"])


def watched(bucket: str, key: str) -> str:
    return f"s3:{bucket}/{key}"


@action_type("Source", "S3", outputs=(1, 1), required="S3Bucket S3ObjectKey", optional=KEYS, timeout=3600.0, check=check, watch=watch)
def source(run: Run, act: Act) -> Outcome:
    return convert(run.tx("copy", copy, act), Outcome)


def copy(ctx: Context, act: Act) -> dict[str, Any]:
    """Copy the object's newest version, as the action's role; the copy shares its content, so nothing is read."""
    bucket, key = act.configuration["S3Bucket"], act.configuration["S3ObjectKey"]
    version: dict[str, str] = {}
    if act.override is not None:
        kind, value = act.override
        if kind == "S3_OBJECT_KEY":
            if act.configuration.get("AllowOverrideForS3ObjectKey", "false").lower() != "true":
                raise ActionFailed("ConfigurationError", "The source action does not allow an override of its S3 object key.")
            key = value
        else:
            version = {"version_id": value}
    role = in_role(ctx, act)
    try:
        head = _head(role, bucket, key, version)
        output = act.outputs[0]
        source = f"{bucket}/{quote(key)}?versionId={head['VersionId']}"
        try:
            role.call("s3", "CopyObject", bucket=output.bucket, key=output.key, copy_source=source, **output.encryption())
        except AwsError as error:
            raise artifact_denied(act, output.bucket) if error.code in DENIED else error from error
    except AwsError as error:
        raise _failure(error, act, bucket, key) from error
    artifact = msgspec.structs.replace(output, revision=head["VersionId"])
    trail(ctx, [act.execution, act.id, head["VersionId"]], f"action {act.name} took version {head['VersionId']} of s3://{bucket}/{key}")
    summary = head.get("Metadata", {}).get("codepipeline-artifact-revision-summary") or f"Amazon S3 version id: {head['VersionId']}"
    console = f"https://console.aws.amazon.com/s3/object/{bucket}/{key}"
    plain: dict[str, Any] = msgspec.to_builtins(
        Outcome(
            summary=summary,
            variables={"ETag": head["ETag"].strip('"'), "VersionId": head["VersionId"], "BucketName": bucket, "ObjectKey": key},
            artifacts=(artifact,),
            revision=Revision(head["VersionId"], head["ETag"].strip('"'), float(head["LastModified"]), summary, console),
            entity_url=console,
        )
    )
    return plain


def _head(role: Context, bucket: str, key: str, version: dict[str, str]) -> dict[str, Any]:
    if role.call("s3", "GetBucketVersioning", bucket=bucket).get("Status") != "Enabled":
        raise ActionFailed("ConfigurationError", f"The S3 bucket {bucket} does not have versioning enabled.")
    return {"VersionId": "null", **role.call("s3", "HeadObject", bucket=bucket, key=key, **version)}


def _failure(error: AwsError, act: Act, bucket: str, key: str) -> ActionFailed:
    if error.code in DENIED:
        return artifact_denied(act, bucket)
    if error.code in MISSING:
        return ActionFailed("ConfigurationError", f"The object with key '{key}' does not exist in the S3 bucket '{bucket}'.")
    if error.code == "NoSuchBucket":
        return ActionFailed("ConfigurationError", f"The S3 bucket '{bucket}' does not exist.")
    return ActionFailed("ConfigurationError", f"{error.code}: {error.message}")


@listens("windtunnel.s3", "Object Created")
def object_created(ctx: Context, event: Event) -> None:
    source_changed(ctx, watched(event.detail["bucket"]["name"], event.detail["object"]["key"]))
