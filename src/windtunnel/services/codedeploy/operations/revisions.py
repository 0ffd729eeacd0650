"""Application revisions (CodeDeploy API reference, 2014-10-06)."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.codedeploy.authorize import on_application
from windtunnel.services.codedeploy.lookups import application_of, batch, page
from windtunnel.services.codedeploy.model.records import Group, Location, Revision
from windtunnel.services.codedeploy.model.revisions import checked, digest

LOCATION = " ".join(
    [f"revision.s3Location.{member}" for member in ("bucket", "key", "bundleType", "version", "eTag")]
    + ["revision.revisionType", "revision.gitHubLocation.repository", "revision.gitHubLocation.commitId"]
    + [f"revision.{kind}.{member}" for kind in ("string", "appSpecContent") for member in ("content", "sha256")]
)
"""The member paths of a RevisionLocation; what other platforms use is refused with the service's own error."""
SORTS = {"registerTime": "registered", "firstUsedTime": "first_used", "lastUsedTime": "last_used"}


@writes(
    "codedeploy",
    "RegisterApplicationRevision",
    authorize=on_application("codedeploy:RegisterApplicationRevision"),
    acts=f"applicationName {LOCATION}",
    descriptive="description",
)
def register_application_revision(ctx: Context, application_name: str, revision: Location, description: str = "") -> Reply:
    application_of(ctx, application_name)
    if len(description) > 100:
        raise AwsError("DescriptionTooLongException", "The description of a revision has at most 100 characters.")
    location = checked(revision, "RegisterApplicationRevision")
    found = ctx.tx.get(Revision, f"{application_name}/{digest(location)}") or Revision(
        application=application_name, digest=digest(location), location=location, registered=ctx.now
    )
    found.description = description or found.description
    ctx.tx.put(found)
    return {}


def revision_of(ctx: Context, application_name: str, location: Location, operation: str) -> Revision:
    found = ctx.tx.get(Revision, f"{application_name}/{digest(checked(location, operation))}")
    if found is None:
        raise AwsError("RevisionDoesNotExistException", f"No revision found for the application {application_name}.")
    return found


@reads(
    "codedeploy",
    "GetApplicationRevision",
    authorize=on_application("codedeploy:GetApplicationRevision"),
    acts=f"applicationName {LOCATION}",
)
def get_application_revision(ctx: Context, application_name: str, revision: Location) -> Reply:
    application_of(ctx, application_name)
    found = revision_of(ctx, application_name, revision, "GetApplicationRevision")
    return {"applicationName": application_name, "revision": found.location, "revisionInfo": described(found)}


@reads(
    "codedeploy",
    "BatchGetApplicationRevisions",
    authorize=on_application("codedeploy:BatchGetApplicationRevisions"),
    acts=f"applicationName {LOCATION.replace('revision.', 'revisions[].')}",
)
def batch_get_application_revisions(ctx: Context, application_name: str, revisions: list[Location]) -> Reply:
    application_of(ctx, application_name)
    names = batch([digest(checked(location, "BatchGetApplicationRevisions")) for location in revisions], 25, "revisions")
    found = [revision for name in names if (revision := ctx.tx.get(Revision, f"{application_name}/{name}"))]
    missing = len(names) - len(found)
    return {
        "applicationName": application_name,
        "errorMessage": f"{missing} of the revisions could not be found." if missing else "",
        "revisions": [{"revisionLocation": revision.location, "genericRevisionInfo": described(revision)} for revision in found],
    }


@reads(
    "codedeploy",
    "ListApplicationRevisions",
    authorize=on_application("codedeploy:ListApplicationRevisions"),
    acts="applicationName sortBy sortOrder s3Bucket s3KeyPrefix deployed nextToken",
    cost="scan",
)
def list_application_revisions(
    ctx: Context,
    application_name: str,
    sort_by: str | None = None,
    sort_order: str = "ascending",
    s3_bucket: str | None = None,
    s3_key_prefix: str | None = None,
    deployed: str = "ignore",
    next_token: str | None = None,
) -> Reply:
    application_of(ctx, application_name)
    _check_listing(sort_by, sort_order, s3_bucket, s3_key_prefix, deployed)
    targets = {digest(g.target_revision) for g in ctx.tx.scan(Group, prefix=f"{application_name}/") if g.target_revision}
    found = [r for r in ctx.tx.scan(Revision, prefix=f"{application_name}/") if _wanted(r, s3_bucket, s3_key_prefix, deployed, targets)]
    if sort_by is not None:
        found.sort(key=lambda r: (getattr(r, SORTS[sort_by]) or 0.0, r.digest), reverse=sort_order == "descending")
    by_name = {revision.digest: revision for revision in found}
    names, more = page(list(by_name), next_token)
    return {"revisions": [by_name[name].location for name in names], **({"nextToken": more} if more else {})}


def _check_listing(sort_by: str | None, sort_order: str, bucket: str | None, prefix: str | None, deployed: str) -> None:
    if sort_by is not None and sort_by not in SORTS:
        raise AwsError("InvalidSortByException", f"The column name to sort by is not valid: {sort_by}")
    if sort_order not in ("ascending", "descending"):
        raise AwsError("InvalidSortOrderException", f"The sort order is not valid: {sort_order}")
    if deployed not in ("include", "exclude", "ignore"):
        raise AwsError("InvalidDeployedStateFilterException", f"The deployed state filter is not valid: {deployed}")
    if prefix and not bucket:
        raise AwsError("BucketNameFilterRequiredException", "A bucket name is required, but was not provided.")


def _wanted(revision: Revision, bucket: str | None, prefix: str | None, deployed: str, targets: set[str]) -> bool:
    s3: dict[str, Any] = revision.location.get("s3Location") or {}
    if bucket and s3.get("bucket") != bucket:
        return False
    if prefix and not str(s3.get("key", "")).startswith(prefix):
        return False
    return deployed == "ignore" or (revision.digest in targets) == (deployed == "include")


def described(revision: Revision) -> Reply:
    """The GenericRevisionInfo shape."""
    reply: Reply = {"deploymentGroups": revision.groups, "registerTime": revision.registered}
    if revision.description:
        reply["description"] = revision.description
    if revision.first_used is not None:
        reply["firstUsedTime"] = revision.first_used
    if revision.last_used is not None:
        reply["lastUsedTime"] = revision.last_used
    return reply
