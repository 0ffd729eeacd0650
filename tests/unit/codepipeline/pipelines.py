"""Pipeline declarations for tests."""

from __future__ import annotations

from typing import Any

from harness import ACCOUNT

ROLE = f"arn:aws:iam::{ACCOUNT}:role/pipeline"


def action(name: str, kind: str, configuration: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """kind: `Category/Provider`; inputs, outputs: artifact names."""
    category, provider = kind.split("/")
    made: dict[str, Any] = {
        "name": name,
        "actionTypeId": {"category": category, "owner": "AWS", "provider": provider, "version": "1"},
        "configuration": configuration or {},
        "inputArtifacts": [{"name": artifact} for artifact in more.pop("inputs", [])],
        "outputArtifacts": [{"name": artifact} for artifact in more.pop("outputs", [])],
    }
    return made | more


def source(**more: Any) -> dict[str, Any]:
    configuration = {"RepositoryName": "web", "BranchName": "main", **more.pop("configuration", {})}
    return action("Fetch", "Source/CodeCommit", configuration, outputs=["SourceArtifact"], **more)


def build(name: str = "Compile", **more: Any) -> dict[str, Any]:
    configuration = {"ProjectName": "unit", **more.pop("configuration", {})}
    return action(name, "Build/CodeBuild", configuration, inputs=["SourceArtifact"], **more)


def approval(name: str = "OK", **more: Any) -> dict[str, Any]:
    return action(name, "Approval/Manual", **more)


def deploy(name: str = "Ship", artifact: str = "SourceArtifact", **more: Any) -> dict[str, Any]:
    configuration = {"ApplicationName": "app", "DeploymentGroupName": "group"}
    return action(name, "Deploy/CodeDeploy", configuration, inputs=[artifact], **more)


def stage(name: str, *actions: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "actions": list(actions)}


def pipeline(*stages: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Source (unless the first stage is given as `Source`), then the stages."""
    given = list(stages) if stages and stages[0]["name"] == "Source" else [stage("Source", source()), *stages]
    return {"name": "rel", "roleArn": ROLE, "artifactStore": {"type": "S3", "location": "artifacts"}, "stages": given, **more}


def full() -> dict[str, Any]:
    return pipeline(
        stage("Build", build(outputs=["BuildArtifact"])),
        stage("Approve", approval()),
        stage("Deploy", deploy(artifact="BuildArtifact")),
    )
