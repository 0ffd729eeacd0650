"""A project's settings: which members are accepted, their defaults, and what must fit together. Pure.

Invariant: settings that `check` passed can run here, or fail as a build does on AWS (an image that cannot be pulled).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.scope import Scope
from windtunnel.services.codebuild.images import SIZES
from windtunnel.services.codebuild.model import Shape

SOURCES = frozenset({"S3", "CODECOMMIT", "CODEPIPELINE", "NO_SOURCE"})
MAX_SECONDARY = 12

_SOURCE = "type location gitCloneDepth gitSubmodulesConfig.fetchSubmodules buildspec sourceIdentifier"
_ARTIFACTS = "type location path namespaceType name packaging overrideArtifactName artifactIdentifier"
MANAGED_KEY = "alias/aws/s3"
_VERSION = "sourceIdentifier sourceVersion"
_ENVIRONMENT = "type image computeType environmentVariables[].name environmentVariables[].value environmentVariables[].type"
_LOGS = "cloudWatchLogs.status cloudWatchLogs.groupName cloudWatchLogs.streamName"


def _under(prefix: str, members: str) -> str:
    return " ".join(f"{prefix}.{member}" for member in members.split())


ACTS = " ".join(
    (
        "name sourceVersion serviceRole encryptionKey timeoutInMinutes queuedTimeoutInMinutes concurrentBuildLimit tags[].key tags[].value cache.type",
        _under("source", _SOURCE),
        _under("secondarySources[]", _SOURCE),
        _under("secondarySourceVersions[]", _VERSION),
        _under("artifacts", _ARTIFACTS),
        _under("secondaryArtifacts[]", _ARTIFACTS),
        _under("environment", _ENVIRONMENT),
        _under("logsConfig", _LOGS),
    )
)
DESCRIPTIVE = (
    "description cache.modes[] environment.imagePullCredentialsType source.insecureSsl secondarySources[].insecureSsl"
    " artifacts.encryptionDisabled secondaryArtifacts[].encryptionDisabled"
)
DEFAULT_ONLY: dict[str, Any] = {
    "badgeEnabled": False,
    "autoRetryLimit": 0,
    "environment.privilegedMode": False,
    "source.reportBuildStatus": False,
    "secondarySources[].reportBuildStatus": False,
    "artifacts.bucketOwnerAccess": "NONE",
    "secondaryArtifacts[].bucketOwnerAccess": "NONE",
    "logsConfig.s3Logs.status": "DISABLED",
    "logsConfig.s3Logs.encryptionDisabled": False,
}
START_ACTS = " ".join(
    (
        "projectName sourceVersion sourceTypeOverride sourceLocationOverride gitCloneDepthOverride buildspecOverride imageOverride",
        "gitSubmodulesConfigOverride.fetchSubmodules environmentTypeOverride computeTypeOverride serviceRoleOverride cacheOverride.type",
        "timeoutInMinutesOverride queuedTimeoutInMinutesOverride encryptionKeyOverride idempotencyToken",
        _under("environmentVariablesOverride[]", "name value type"),
        _under("secondarySourcesOverride[]", _SOURCE),
        _under("secondarySourcesVersionOverride[]", _VERSION),
        _under("artifactsOverride", _ARTIFACTS),
        _under("secondaryArtifactsOverride[]", _ARTIFACTS),
        _under("logsConfigOverride", _LOGS),
    )
)
START_DESCRIPTIVE = (
    "cacheOverride.modes[] imagePullCredentialsTypeOverride insecureSslOverride secondarySourcesOverride[].insecureSsl"
    " artifactsOverride.encryptionDisabled secondaryArtifactsOverride[].encryptionDisabled"
)
START_DEFAULT_ONLY: dict[str, Any] = {
    "privilegedModeOverride": False,
    "reportBuildStatusOverride": False,
    "debugSessionEnabled": False,
    "autoRetryLimitOverride": 0,
    "secondarySourcesOverride[].reportBuildStatus": False,
    "artifactsOverride.bucketOwnerAccess": "NONE",
    "secondaryArtifactsOverride[].bucketOwnerAccess": "NONE",
    "logsConfigOverride.s3Logs.status": "DISABLED",
    "logsConfigOverride.s3Logs.encryptionDisabled": False,
}


def with_defaults(scope: Scope, name: str, given: Mapping[str, Any]) -> Shape:
    """Settings as BatchGetProjects shows them: AWS's defaults where nothing was said."""
    settings: Shape = {
        "secondarySources": [],
        "secondarySourceVersions": [],
        "secondaryArtifacts": [],
        "cache": {"type": "NO_CACHE"},
        "timeoutInMinutes": 60,
        "queuedTimeoutInMinutes": 480,
        "encryptionKey": scope.arn("kms", MANAGED_KEY),
        "tags": [],
        **{member: value for member, value in given.items() if value is not None},
    }
    settings["source"] = _source(settings["source"])
    settings["secondarySources"] = [_source(source) for source in settings["secondarySources"]]
    settings["artifacts"] = _artifacts(settings["artifacts"], name)
    settings["secondaryArtifacts"] = [_artifacts(one, name) for one in settings["secondaryArtifacts"]]
    settings["environment"] = _environment(settings["environment"])
    return settings


def _source(source: Shape) -> Shape:
    return {"insecureSsl": False, **source}


def _artifacts(artifacts: Shape, project: str) -> Shape:
    if artifacts["type"] == "NO_ARTIFACTS":
        return dict(artifacts)
    defaults = {"name": project, "packaging": "NONE", "encryptionDisabled": False}
    if artifacts["type"] == "S3":
        defaults["namespaceType"] = "NONE"
    return {**defaults, **artifacts}


def _environment(environment: Shape) -> Shape:
    variables = [{"type": "PLAINTEXT", **variable} for variable in environment.get("environmentVariables", [])]
    fixed = {"privilegedMode": False, "imagePullCredentialsType": "CODEBUILD"}
    return {**fixed, **environment, "environmentVariables": variables}


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidInputException", message)


def check(operation: str, settings: Shape) -> None:
    """Raise InvalidInputException for what does not fit together, NotImplemented for what is not built."""
    for source in (settings["source"], *settings["secondarySources"]):
        _check_source(operation, source)
    for artifacts in (settings["artifacts"], *settings["secondaryArtifacts"]):
        _check_artifacts(artifacts)
    _check_identifiers("source", settings["secondarySources"], "sourceIdentifier")
    _check_identifiers("artifact", settings["secondaryArtifacts"], "artifactIdentifier")
    if (settings["source"]["type"] == "CODEPIPELINE") != (settings["artifacts"]["type"] == "CODEPIPELINE"):
        raise _invalid(
            "Invalid project configuration: a source of type CODEPIPELINE must set artifacts type to CODEPIPELINE, and vice versa"
        )
    if settings["source"]["type"] == "NO_SOURCE" and not settings["source"].get("buildspec"):
        raise _invalid("Invalid project source: a buildspec must be provided for source type NO_SOURCE")
    _check_environment(operation, settings["environment"])
    if not all(tag.get("key") for tag in settings.get("tags", [])):
        raise _invalid("Invalid tags: a tag must have a key")
    if settings["cache"].get("type", "NO_CACHE") == "S3":
        raise not_built("codebuild", operation, "cache.type S3")
    if settings.get("concurrentBuildLimit") is not None and settings["concurrentBuildLimit"] < 1:
        raise _invalid("Invalid concurrentBuildLimit: the limit must be at least 1")


def _check_source(operation: str, source: Shape) -> None:
    kind = source["type"]
    if kind not in SOURCES:
        raise not_built("codebuild", operation, f"source.type {kind}")
    location = source.get("location") or ""
    if kind == "S3" and ("/" not in location or location.startswith(("/", "s3:", "arn:"))):
        raise _invalid("Invalid project source: location must be a valid S3 source location")
    if kind == "CODECOMMIT" and "/v1/repos/" not in location:
        raise _invalid("Invalid project source: location must be a valid CodeCommit repository URL")
    if source.get("gitCloneDepth") is not None and source["gitCloneDepth"] < 0:
        raise _invalid("Invalid gitCloneDepth: the depth must not be negative")


def _check_artifacts(artifacts: Shape) -> None:
    if artifacts["type"] == "S3" and not artifacts.get("location"):
        raise _invalid("Invalid artifacts: location must be specified for artifacts of type S3")


def _check_identifiers(what: str, items: list[Shape], member: str) -> None:
    names = [item.get(member) for item in items]
    if len(items) > MAX_SECONDARY:
        raise _invalid(f"Invalid secondary {what}s: at most {MAX_SECONDARY} are allowed")
    if not all(names):
        raise _invalid(f"Invalid secondary {what}: {member} must be specified")
    if len(set(names)) != len(names):
        raise _invalid(f"Invalid secondary {what}s: each {member} must be unique")


def _check_environment(operation: str, environment: Shape) -> None:
    if environment["type"] != "LINUX_CONTAINER":
        raise not_built("codebuild", operation, f"environment.type {environment['type']}")
    if environment["computeType"] not in SIZES:
        raise not_built("codebuild", operation, f"environment.computeType {environment['computeType']}")
    names = [variable["name"] for variable in environment["environmentVariables"]]
    if len(set(names)) != len(names):
        raise _invalid("Invalid environment variables: names must be unique")


_RENAMED = {
    "sourceTypeOverride": ("source", "type"),
    "sourceLocationOverride": ("source", "location"),
    "gitCloneDepthOverride": ("source", "gitCloneDepth"),
    "gitSubmodulesConfigOverride": ("source", "gitSubmodulesConfig"),
    "buildspecOverride": ("source", "buildspec"),
    "insecureSslOverride": ("source", "insecureSsl"),
    "environmentTypeOverride": ("environment", "type"),
    "imageOverride": ("environment", "image"),
    "computeTypeOverride": ("environment", "computeType"),
    "imagePullCredentialsTypeOverride": ("environment", "imagePullCredentialsType"),
}
_REPLACED = {
    "secondarySourcesOverride": "secondarySources",
    "secondarySourcesVersionOverride": "secondarySourceVersions",
    "artifactsOverride": "artifacts",
    "secondaryArtifactsOverride": "secondaryArtifacts",
    "cacheOverride": "cache",
    "logsConfigOverride": "logsConfig",
    "serviceRoleOverride": "serviceRole",
    "timeoutInMinutesOverride": "timeoutInMinutes",
    "queuedTimeoutInMinutesOverride": "queuedTimeoutInMinutes",
    "encryptionKeyOverride": "encryptionKey",
}


def overridden(settings: Shape, requested: Mapping[str, Any]) -> Shape:
    """The project's settings with StartBuild's overrides. requested: StartBuild's members by their model names."""
    merged = dict(settings)
    for member, (part, name) in _RENAMED.items():
        if requested.get(member) is not None:
            merged[part] = {**merged[part], name: requested[member]}
    for member, name in _REPLACED.items():
        if requested.get(member) is not None:
            merged[name] = requested[member]
    extra = requested.get("environmentVariablesOverride") or []
    if extra:
        variables = {variable["name"]: variable for variable in merged["environment"]["environmentVariables"]}
        variables |= {variable["name"]: {"type": "PLAINTEXT", **variable} for variable in extra}
        merged["environment"] = {**merged["environment"], "environmentVariables": list(variables.values())}
    return merged
