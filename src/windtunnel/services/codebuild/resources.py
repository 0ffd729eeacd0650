"""AWS::CodeBuild::Project."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.provision.calling import perform
from windtunnel.provision.handling import Direct, checked_tags, listed
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted, resource_type
from windtunnel.provision.schemas import TypeSchema, schema
from windtunnel.provision.shaping import Walk, properties

_ELSEWHERE = ("Triggers", "Visibility", "ResourceAccessRole")
_NOTHING: dict[str, Any] = {
    "Description": "",
    "SourceVersion": "",
    "SecondarySources": [],
    "SecondarySourceVersions": [],
    "SecondaryArtifacts": [],
    "Cache": {"Type": "NO_CACHE"},
    "TimeoutInMinutes": 60,
    "QueuedTimeoutInMinutes": 480,
    "LogsConfig": {"CloudWatchLogs": {"Status": "ENABLED"}},
    "ConcurrentBuildLimit": -1,
    "AutoRetryLimit": 0,
    "BadgeEnabled": False,
    "Tags": [],
}
"""What UpdateProject has to be told of what a template says no more: it keeps what is not given."""
CREATING = Walk("codebuild", "CreateProject", drop=_ELSEWHERE)
UPDATING = Walk("codebuild", "UpdateProject", drop=_ELSEWHERE)


def _role(ctx: Context, props: Properties) -> str:
    """The service role's ARN: templates may give its name, which is what Ref gives of a role."""
    role = str(props["ServiceRole"])
    return role if role.startswith("arn:") else f"arn:aws:iam::{ctx.scope.account}:role/{role}"


@resource_type("AWS::CodeBuild::Project")
class ProjectType(Direct):
    """Ref is the project's name."""

    service = "codebuild"
    calls = "DeleteProject"
    name = Name("Name", limit=255)

    def warm(self) -> None:
        super().warm()
        CREATING.compile()
        UPDATING.compile()

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        self._refuse(ctx, {}, props)
        given = {**props, "Name": wanted.name, "ServiceRole": _role(ctx, props), "Tags": checked_tags(props.get("Tags"))}
        made = CREATING.call(ctx, given)["project"]
        return Created(id=wanted.name, attributes={"Arn": made["arn"], "Id": wanted.name})

    def _refuse(self, ctx: Context, old: Properties, new: Properties) -> None:
        """Webhooks and public builds have operations of their own, which refuse by name."""
        before, after = old.get("Triggers") or {}, new.get("Triggers") or {}
        if after.get("Webhook") or (after.get("FilterGroups") and after != before):
            perform(ctx, "codebuild", "CreateWebhook", projectName=new.get("Name"))
        if new.get("Visibility", "PRIVATE") != "PRIVATE" or new.get("ResourceAccessRole"):
            perform(ctx, "codebuild", "UpdateProjectVisibility")

    @property
    def _schema(self) -> TypeSchema:
        known = schema(self.type)
        assert known is not None
        return known

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        found = perform(ctx, "codebuild", "BatchGetProjects", names=[resource.id])["projects"]
        if not found:
            return None
        [project] = found
        shown = properties(self._schema, project)
        for name in ("SecondarySources", "SecondarySourceVersions", "SecondaryArtifacts", "Tags"):
            if shown.get(name) == []:
                del shown[name]
        badge = bool(project.get("badge", {}).get("badgeEnabled"))
        if "/" not in str(resource.properties.get("ServiceRole", "/")):
            shown["ServiceRole"] = shown["ServiceRole"].rsplit("/", 1)[-1]
        return shown | {"Id": resource.id, "Arn": project["arn"], "BadgeEnabled": badge}

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        self._refuse(ctx, resource.properties, new)
        key = {"EncryptionKey": ctx.arn("kms", "alias/aws/s3")} if "EncryptionKey" in resource.properties else {}
        gone = {name: value for name, value in _NOTHING.items() if name in resource.properties}
        given = {**new, "Name": resource.id, "ServiceRole": _role(ctx, new), "Tags": checked_tags(new.get("Tags"))}
        UPDATING.call(ctx, {**key, **gone, **given})
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        perform(ctx, "codebuild", "DeleteProject", name=resource.id)
        return True

    def list(self, ctx: Context) -> Iterator[str]:
        return listed(ctx, "codebuild", "ListProjects", "projects", ("nextToken", "nextToken"))
