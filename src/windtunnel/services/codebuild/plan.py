"""What a build's sandbox is given: the spec of the sandbox, its environment, and the plan that the runner inside follows. Pure.

Invariant: the plan holds nothing that the build's own commands may not see; the role's credentials are not in it.
"""

from __future__ import annotations

import json
from typing import Any

from windtunnel.compute.driver import GuestFile, SandboxSpec
from windtunnel.kernel.scope import Scope
from windtunnel.services.codebuild.images import SIZES, STOCK
from windtunnel.services.codebuild.model import Build, Shape, build_arn, project_arn
from windtunnel.services.codebuild.settings import MANAGED_KEY

PLAN_FILE = "/codebuild/readonly/plan.json"
RUNNER = (
    "/usr/bin/python3",
    "-E",
    "-S",
    "-u",
    "-c",
    "import sys; sys.path.insert(0, '/opt/windtunnel'); from windtunnel.guest.build_runner import main; main()",
)
PYTHON = b'#!/bin/sh\nexec /usr/bin/python3 "$@"\n'
"""AWS's build images answer to `python`; Debian, and Amazon Linux on an instance, do not."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def sandbox(scope: Scope, build: Build, endpoint: str, credentials_path: str) -> SandboxSpec:
    """The sandbox of a build: its id is the build's uuid."""
    size = SIZES[build.settings["environment"]["computeType"]]
    environment = _environment(scope, build, endpoint, credentials_path)
    plan = json.dumps(_plan(scope, build, endpoint), separators=(",", ":"))
    return SandboxSpec(
        id=build.uuid,
        image=STOCK,
        argv=RUNNER,
        env=environment,
        cwd="/codebuild/output",
        hostname=build.uuid[:12],
        files=(GuestFile(PLAN_FILE, plan.encode(), 0o600), GuestFile("/usr/local/bin/python", PYTHON, 0o755)),
        memory=size.memory,
        cpus=size.cpus,
    )


def source_directory(build: Build) -> str:
    """`/codebuild/output/src123456789`, below which every source has its directory."""
    return f"/codebuild/output/src{int(build.uuid.replace('-', '')[:8], 16):010d}"


def _environment(scope: Scope, build: Build, endpoint: str, credentials_path: str) -> dict[str, str]:
    repos = f"{endpoint}/v1/repos/"
    public = f"https://git-codecommit.{scope.region}.amazonaws.com/v1/repos/"
    git = {
        f"url.{repos}.insteadOf": public,
        f"credential.{endpoint}.helper": '!f() { test "$1" != get || aws codecommit credential-helper --ignore-host-check get; }; f',
        f"credential.{endpoint}.UseHttpPath": "true",
        "safe.directory": "*",
    }
    found = {
        "PATH": PATH,
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "AWS_REGION": scope.region,
        "AWS_DEFAULT_REGION": scope.region,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": credentials_path,
        "AWS_EXECUTION_ENV": "AWS_ECS_EC2",
        "GIT_CONFIG_COUNT": str(len(git)),
        **_codebuild(scope, build),
    }
    for number, (key, value) in enumerate(git.items()):
        found[f"GIT_CONFIG_KEY_{number}"] = key
        found[f"GIT_CONFIG_VALUE_{number}"] = value
    return found


def _codebuild(scope: Scope, build: Build) -> dict[str, str]:
    settings = build.settings
    found = {
        "CI": "true",
        "CODEBUILD_CI": "true",
        "CODEBUILD_AGENT_ENV_CODEBUILD_REGION": scope.region,
        "CODEBUILD_BUILD_ARN": build_arn(scope, build.id),
        "CODEBUILD_BUILD_ID": build.id,
        "CODEBUILD_BUILD_IMAGE": settings["environment"]["image"],
        "CODEBUILD_BUILD_NUMBER": str(build.number),
        "CODEBUILD_BUILD_SUCCEEDING": "1",
        "CODEBUILD_INITIATOR": build.initiator,
        "CODEBUILD_KMS_KEY_ID": settings["encryptionKey"],
        "CODEBUILD_LOG_PATH": build.stream or build.uuid,
        "CODEBUILD_PROJECT_ARN": project_arn(scope, build.project),
        "CODEBUILD_PROJECT_UUID": build.uuid,
        "CODEBUILD_SOURCE_REPO_URL": settings["source"].get("location", ""),
        "CODEBUILD_SOURCE_VERSION": build.source_version,
        "CODEBUILD_START_TIME": str(int(build.started * 1000)),
    }
    if build.resolved_version:
        found["CODEBUILD_RESOLVED_SOURCE_VERSION"] = build.resolved_version
    versions = _secondary_versions(settings)
    for source in settings["secondarySources"]:
        identifier = source["sourceIdentifier"]
        found[f"CODEBUILD_SOURCE_REPO_URL_{identifier}"] = source.get("location", "")
        found[f"CODEBUILD_SOURCE_VERSION_{identifier}"] = versions.get(identifier, "")
    return found


def _secondary_versions(settings: Shape) -> dict[str, str]:
    return {one["sourceIdentifier"]: one.get("sourceVersion", "") for one in settings.get("secondarySourceVersions", [])}


def _plan(scope: Scope, build: Build, endpoint: str) -> dict[str, Any]:
    settings = build.settings
    versions = _secondary_versions(settings)
    primary = _source(settings["source"], build.source_version)
    sources = [_source(one, versions.get(one["sourceIdentifier"], ""), one["sourceIdentifier"]) for one in settings["secondarySources"]]
    return {
        "arn": build_arn(scope, build.id),
        "uuid": build.uuid,
        "endpoint": endpoint,
        "region": scope.region,
        "directory": source_directory(build),
        "buildspec": settings["source"].get("buildspec", ""),
        "variables": settings["environment"]["environmentVariables"],
        "sources": [primary, *sources],
        "artifacts": _artifacts(scope, settings, settings["artifacts"]),
        "secondary_artifacts": [_artifacts(scope, settings, one) for one in settings["secondaryArtifacts"]],
        "image": settings["environment"]["image"],
    }


def _artifacts(scope: Scope, settings: Shape, artifacts: Shape) -> Shape:
    """As the runner uploads them: under the build's KMS key, unless that is S3's own, which the bucket's default stands for."""
    key = settings["encryptionKey"]
    managed = key in (MANAGED_KEY, scope.arn("kms", MANAGED_KEY))
    return dict(artifacts) if managed or artifacts.get("encryptionDisabled") else {**artifacts, "kmsKey": key}


def _source(source: Shape, version: str, identifier: str = "") -> dict[str, Any]:
    """A source as the runner fetches it. From CodePipeline the version (or the location) names the input artifact's object."""
    found: dict[str, Any] = {"type": source["type"], "location": source.get("location", ""), "version": version, "identifier": identifier}
    if source["type"] == "CODEPIPELINE":
        place = version.removeprefix("arn:aws:s3:::") if version.startswith("arn:aws:s3:::") else found["location"]
        found |= {"type": "S3", "location": place, "version": "", "pipeline": True}
    if source.get("gitCloneDepth"):
        found["depth"] = source["gitCloneDepth"]
    if source.get("gitSubmodulesConfig", {}).get("fetchSubmodules"):
        found["submodules"] = True
    return found
