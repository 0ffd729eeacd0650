"""CodeDeploy's CloudFormation types: Application, DeploymentConfig and DeploymentGroup."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.provision.calling import perform
from windtunnel.provision.handling import Direct, attempt, changed, checked_tags, listed, tag_changes
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted, resource_type
from windtunnel.provision.schemas import schema
from windtunnel.provision.shaping import Walk, properties
from windtunnel.provision.showing import tags_shown

MISSING = frozenset({"ApplicationDoesNotExistException", "DeploymentGroupDoesNotExistException", "DeploymentConfigDoesNotExistException"})
_TOKENS = ("nextToken", "nextToken")


def _deploy(ctx: Context, operation: str, **members: Any) -> Any:
    return perform(ctx, "codedeploy", operation, **members)


def _shown(type_name: str, description: dict[str, Any]) -> Properties:
    known = schema(type_name)
    assert known is not None
    return {name: value for name, value in properties(known, description).items() if value not in ([], {})}


def _retag(ctx: Context, arn: str, old: Properties, new: Properties) -> None:
    added, gone = tag_changes(old.get("Tags"), new.get("Tags"))
    if gone:
        _deploy(ctx, "UntagResource", ResourceArn=arn, TagKeys=gone)
    if added:
        _deploy(ctx, "TagResource", ResourceArn=arn, Tags=added)


def _tags(ctx: Context, arn: str) -> Properties:
    return tags_shown(_deploy(ctx, "ListTagsForResource", ResourceArn=arn)["Tags"])


@resource_type("AWS::CodeDeploy::Application")
class ApplicationType(Direct):
    service = "codedeploy"
    calls = "CreateApplication DeleteApplication TagResource UntagResource"
    name = Name("ApplicationName", limit=100)
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        tags = checked_tags(props.get("Tags")) or None
        _deploy(ctx, "CreateApplication", applicationName=wanted.name, computePlatform=props.get("ComputePlatform"), tags=tags)
        return Created(id=wanted.name)

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        found = attempt(ctx, MISSING, "codedeploy", "GetApplication", applicationName=resource.id)
        if found is None:
            return None
        return _shown(self.type, found["application"]) | _tags(ctx, ctx.arn("codedeploy", f"application:{resource.id}"))

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        _retag(ctx, ctx.arn("codedeploy", f"application:{resource.id}"), resource.properties, new)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        attempt(ctx, MISSING, "codedeploy", "DeleteApplication", applicationName=resource.id)
        return True

    def list(self, ctx: Context) -> Iterator[str]:
        return listed(ctx, "codedeploy", "ListApplications", "applications", _TOKENS)


CONFIGURING = Walk("codedeploy", "CreateDeploymentConfig")


@resource_type("AWS::CodeDeploy::DeploymentConfig")
class DeploymentConfigType(Direct):
    """Everything of it is create-only: it is never updated."""

    service = "codedeploy"
    calls = "DeleteDeploymentConfig"
    name = Name("DeploymentConfigName", limit=100)
    missing = MISSING

    def warm(self) -> None:
        super().warm()
        CONFIGURING.compile()

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        CONFIGURING.call(ctx, {**props, "DeploymentConfigName": wanted.name})
        return Created(id=wanted.name)

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        found = attempt(ctx, MISSING, "codedeploy", "GetDeploymentConfig", deploymentConfigName=resource.id)
        return None if found is None else _shown(self.type, found["deploymentConfigInfo"])

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        attempt(ctx, MISSING, "codedeploy", "DeleteDeploymentConfig", deploymentConfigName=resource.id)
        return True

    def list(self, ctx: Context) -> Iterator[str]:
        every = listed(ctx, "codedeploy", "ListDeploymentConfigs", "deploymentConfigsList", _TOKENS)
        return (name for name in every if not name.startswith("CodeDeployDefault."))


GROUPING = Walk("codedeploy", "CreateDeploymentGroup", drop=("Deployment",))
REGROUPING = Walk(
    "codedeploy", "UpdateDeploymentGroup", drop=("Deployment", "Tags"), rename={"DeploymentGroupName": "currentDeploymentGroupName"}
)
DEPLOYING = Walk("codedeploy", "CreateDeployment")
_NOTHING: dict[str, Any] = {
    "DeploymentConfigName": "CodeDeployDefault.OneAtATime",
    "Ec2TagFilters": [],
    "Ec2TagSet": {"Ec2TagSetList": []},
    "AutoRollbackConfiguration": {"Enabled": False, "Events": []},
    "TriggerConfigurations": [],
}
"""What UpdateDeploymentGroup has to be told of what a template says no more: it keeps what is not given."""
_FILTERS = {"Ec2TagFilters", "Ec2TagSet"}
"""Of which a group has one: setting it takes the other away."""


def _flat(props: Properties) -> Properties:
    """The lists of tag groups as the API has them: CloudFormation puts each into a structure of its own."""
    made = dict(props)
    for name, below in (("Ec2TagSet", "Ec2TagSetList"), ("OnPremisesTagSet", "OnPremisesTagSetList")):
        if made.get(name):
            member = below.removesuffix("SetList") + "Group"
            made[name] = {below: [one.get(member, []) if isinstance(one, dict) else one for one in made[name].get(below, [])]}
    return made


@resource_type("AWS::CodeDeploy::DeploymentGroup")
class DeploymentGroupType(Direct):
    """Ref is the group's name; Cloud Control calls it `APPLICATION|GROUP`. Deployment begins one, which the stack does not wait for."""

    service = "codedeploy"
    calls = "DeleteDeploymentGroup TagResource UntagResource"
    name = Name("DeploymentGroupName", limit=100)
    missing = MISSING

    def warm(self) -> None:
        super().warm()
        GROUPING.compile()
        REGROUPING.compile()
        DEPLOYING.compile()

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        tags = checked_tags(props.get("Tags"))
        GROUPING.call(ctx, {**_flat(props), "DeploymentGroupName": wanted.name, **({"Tags": tags} if tags else {})})
        self._begin(ctx, props["ApplicationName"], wanted.name, {}, props)
        return Created(id=wanted.name)

    def _begin(self, ctx: Context, application: str, group: str, old: Properties, new: Properties) -> None:
        if new.get("Deployment") and changed(old, new, "Deployment"):
            DEPLOYING.call(ctx, {**new["Deployment"], "ApplicationName": application, "DeploymentGroupName": group})

    def _place(self, resource: Resource) -> tuple[str, str]:
        if not resource.properties and "|" in resource.id:
            application, _, group = resource.id.partition("|")
            return application, group
        return str(resource.properties["ApplicationName"]), resource.id

    def _arn(self, ctx: Context, resource: Resource) -> str:
        application, group = self._place(resource)
        return ctx.arn("codedeploy", f"deploymentgroup:{application}/{group}")

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        application, group = self._place(resource)
        members = {"applicationName": application, "deploymentGroupName": group}
        found = attempt(ctx, MISSING, "codedeploy", "GetDeploymentGroup", **members)
        if found is None:
            return None
        info = dict(found["deploymentGroupInfo"])
        if info.get("ec2TagSet"):
            info["ec2TagSet"] = {"ec2TagSetList": [{"ec2TagGroup": one} for one in info["ec2TagSet"]["ec2TagSetList"]]}
        return _shown(self.type, info) | _tags(ctx, self._arn(ctx, resource))

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        old, (application, group) = resource.properties, self._place(resource)
        if changed(old, new, *(old.keys() | new.keys()) - {"Deployment", "Tags"}):
            gone = {name: value for name, value in _NOTHING.items() if name in old and not (name in _FILTERS and _FILTERS & new.keys())}
            REGROUPING.call(ctx, {**_flat({**gone, **new}), "DeploymentGroupName": group})
        _retag(ctx, self._arn(ctx, resource), old, new)
        self._begin(ctx, application, group, old, new)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        application, group = self._place(resource)
        attempt(ctx, MISSING, "codedeploy", "DeleteDeploymentGroup", applicationName=application, deploymentGroupName=group)
        return True

    def list(self, ctx: Context) -> Iterator[str]:
        for application in listed(ctx, "codedeploy", "ListApplications", "applications", _TOKENS):
            for group in listed(ctx, "codedeploy", "ListDeploymentGroups", "deploymentGroups", _TOKENS, applicationName=application):
                yield f"{application}|{group}"
