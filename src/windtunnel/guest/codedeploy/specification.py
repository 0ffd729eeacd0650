"""What the command service tells of a deployment.

Invariant: a specification that was parsed names everything a command needs; what it lacks fails the command with a reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple


class Invalid(Exception):
    """The specification is not one that this agent can carry out."""


class Specification(NamedTuple):
    """A deployment as the agent sees it; version and etag are empty when the revision does not name them."""

    deployment_id: str
    group_id: str
    group: str
    application: str
    bucket: str
    key: str
    bundle_type: str
    version: str
    etag: str
    file_exists: str
    events: tuple[str, ...]

    def environment(self, event: str) -> dict[str, str]:
        """What a hook's script finds in its environment."""
        found = {
            "LIFECYCLE_EVENT": event,
            "DEPLOYMENT_ID": self.deployment_id,
            "APPLICATION_NAME": self.application,
            "DEPLOYMENT_GROUP_NAME": self.group,
            "DEPLOYMENT_GROUP_ID": self.group_id,
            "BUNDLE_BUCKET": self.bucket,
            "BUNDLE_KEY": self.key,
        }
        if self.version:
            found["BUNDLE_VERSION"] = self.version
        if self.etag:
            found["BUNDLE_ETAG"] = self.etag
        return found


def parse(answer: Mapping[str, Any]) -> Specification:
    """The specification in GetDeploymentSpecification's answer."""
    system = answer.get("DeploymentSystem")
    if system != "CodeDeploy":
        raise Invalid(f"Deployment System mismatch: CodeDeploy != {system}")
    envelope = (answer.get("DeploymentSpecification") or {}).get("GenericEnvelope") or {}
    if envelope.get("Format") != "TEXT/JSON":
        raise Invalid(f"Unsupported DeploymentSpecification format: {envelope.get('Format')}")
    found = json.loads(envelope.get("Payload") or "{}")
    revision = found.get("Revision") or {}
    if revision.get("RevisionType") != "S3":
        raise Invalid(f"Exactly one of S3Revision, GitHubRevision or LocalRevision must be specified, not {revision.get('RevisionType')}")
    s3 = revision.get("S3Revision") or {}
    overrides = (found.get("AgentActionOverrides") or {}).get("AgentOverrides") or {}
    try:
        return Specification(
            deployment_id=found["DeploymentId"],
            group_id=found["DeploymentGroupId"],
            group=found["DeploymentGroupName"],
            application=found["ApplicationName"],
            bucket=s3["Bucket"],
            key=s3["Key"],
            bundle_type=s3["BundleType"],
            version=s3.get("Version") or "",
            etag=s3.get("ETag") or "",
            file_exists=overrides.get("FileExistsBehavior") or "DISALLOW",
            events=tuple(found.get("AllPossibleLifecycleEvents") or ()),
        )
    except KeyError as missing:
        raise Invalid(f"The deployment specification does not contain {missing.args[0]}") from missing
