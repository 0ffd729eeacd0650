"""Launch templates and their versions (EC2 API reference, 2016-11-15).

A version keeps what it is given; whether this machine can do it is told at the launch, by name, as for a member of RunInstances itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.scope import Scope
from windtunnel.services.ec2.filters import chosen
from windtunnel.services.ec2.instances import dry, on_everything
from windtunnel.services.ec2.network.common import (
    TAGS,
    by_token,
    checked_page,
    every,
    fingerprint,
    given_tags,
    made_before,
    need,
    new_id,
    on,
    page_of,
    tagged,
    tells,
)
from windtunnel.services.ec2.network.model import Resource

NAME = re.compile(r"[a-zA-Z0-9().\-/_]{3,128}\Z")
ID = re.compile(r"lt-(?:[0-9a-f]{17}|[0-9a-f]{8})\Z")


class Version(msgspec.Struct):
    number: int
    data: dict[str, Any]
    created: float
    by: str
    description: str = ""


class LaunchTemplate(Resource, kw_only=True):
    """versions: those that are there, the least first; latest: the greatest number that was ever given out."""

    KIND: ClassVar[str] = "ec2.launch-template"
    TYPE: ClassVar[str] = "launch-template"
    PREFIX: ClassVar[str] = "lt"
    MISSING: ClassVar[tuple[str, str]] = (
        "InvalidLaunchTemplateId.NotFound",
        "The specified launch template, with template ID {}, does not exist.",
    )
    INDEXES: ClassVar = {"name": "name", "token": by_token}

    name: str
    versions: list[Version]
    default: int = 1
    latest: int = 1
    created: float
    by: str

    def version(self, said: str) -> Version | None:
        """By number, `$Latest` or `$Default`; "" is the default."""
        number = {"$Latest": self.versions[-1].number, "$Default": self.default, "": self.default}.get(said)
        if number is None and said.isascii() and said.isdigit() and len(said) < 10:
            number = int(said)
        return next((version for version in self.versions if version.number == number), None)

    def condition_keys(self, scope: Scope) -> dict[str, Any]:
        return {"ec2:LaunchTemplate": scope.arn("ec2", f"launch-template/{self.id}")}


def template_shape(ctx: Context, template: LaunchTemplate) -> dict[str, Any]:
    return {
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "CreateTime": template.created,
        "CreatedBy": template.by,
        "DefaultVersionNumber": template.default,
        "LatestVersionNumber": template.versions[-1].number,
        "Tags": tagged(template),
    }


def version_shape(template: LaunchTemplate, version: Version) -> dict[str, Any]:
    shape = {
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "VersionNumber": version.number,
        "CreateTime": version.created,
        "CreatedBy": version.by,
        "DefaultVersion": version.number == template.default,
        "LaunchTemplateData": shown_data(version.data),
    }
    return shape | ({"VersionDescription": version.description} if version.description else {})


def shown_data(data: dict[str, Any]) -> dict[str, Any]:
    """RequestLaunchTemplateData as ResponseLaunchTemplateData, whose tags and groups have the same names."""
    return data


def find(ctx: Context, template_id: str | None, name: str | None) -> LaunchTemplate:
    """By exactly one of id and name. Raises AwsError in EC2's words."""
    if bool(template_id) == bool(name):
        code = "InvalidParameterCombination" if name else "MissingParameter"
        raise AwsError(code, "Either a launch template ID or a launch template name must be specified in the request, and not both.")
    if template_id:
        if not ID.match(template_id):
            raise AwsError("InvalidLaunchTemplateId.Malformed", f"The launch template ID '{template_id}' is malformed.")
        found = ctx.tx.get(LaunchTemplate, template_id)
        if found is None:
            raise AwsError(LaunchTemplate.MISSING[0], LaunchTemplate.MISSING[1].format(template_id))
        return found
    by_name = ctx.tx.find(LaunchTemplate, "name", name or "", limit=1)
    if not by_name:
        raise AwsError(
            "InvalidLaunchTemplateName.NotFoundException", f"The specified launch template, with template name {name}, does not exist."
        )
    return by_name[0]


def the_version(template: LaunchTemplate, said: str) -> Version:
    found = template.version(said)
    if found is None:
        raise AwsError(
            "InvalidLaunchTemplateId.VersionNotFound",
            f"Could not find launch template version {said} for launch template {template.id}.",
        )
    return found


def on_template(action: str) -> Any:
    """authorize= of an operation on a template by id or name."""

    def authorize(ctx: Context, launch_template_id: str | None = None, launch_template_name: str | None = None, **_: Any) -> list[Need]:
        found = ctx.tx.find(LaunchTemplate, "name", launch_template_name, limit=1) if launch_template_name else []
        return [need(ctx, action, LaunchTemplate, launch_template_id or (found[0].id if found else "*"))]

    return authorize


@writes(
    "ec2",
    "CreateLaunchTemplate",
    authorize=on("CreateLaunchTemplate", new=LaunchTemplate),
    acts=f"LaunchTemplateName ClientToken DryRun {TAGS}",
    descriptive="VersionDescription LaunchTemplateData.*",
)
def create_launch_template(
    ctx: Context,
    launch_template_name: str,
    launch_template_data: dict[str, Any],
    version_description: str = "",
    client_token: str | None = None,
    tag_specifications: list[dict[str, Any]] | None = None,
    dry_run: bool = False,
) -> Reply:
    request = {"Name": launch_template_name, "Data": launch_template_data, "Said": version_description, "Tags": tag_specifications}
    template = made_before(ctx, LaunchTemplate, client_token, request)
    if template is None:
        if not NAME.match(launch_template_name):
            raise AwsError(
                "InvalidLaunchTemplateName.MalformedException",
                "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the following characters:"
                " - ( ) . / _.",
            )
        if ctx.tx.find(LaunchTemplate, "name", launch_template_name, limit=1):
            raise AwsError("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
        tags = given_tags(ctx, tag_specifications, LaunchTemplate)
        dry(dry_run)
        first = Version(1, checked_data(launch_template_data), ctx.now, ctx.principal.arn, version_description)
        template = LaunchTemplate(
            id=new_id(ctx, LaunchTemplate),
            name=launch_template_name,
            versions=[first],
            created=ctx.now,
            by=ctx.principal.arn,
            tags=tags,
            client_token=client_token or "",
            fingerprint=fingerprint(request),
        )
        ctx.tx.put(template)
    return {"LaunchTemplate": template_shape(ctx, template)}


def checked_data(data: dict[str, Any]) -> dict[str, Any]:
    """What can be said of it without launching. Raises InvalidUserData.Malformed."""
    from windtunnel.services.ec2.launching import checked_user_data

    if not data:
        raise AwsError("MissingParameter", "The request must contain the parameter LaunchTemplateData")
    if data.get("UserData"):
        checked_user_data(data["UserData"])
    return data


@writes(
    "ec2",
    "CreateLaunchTemplateVersion",
    authorize=on_template("CreateLaunchTemplateVersion"),
    acts="LaunchTemplateId LaunchTemplateName SourceVersion DryRun",
    descriptive="VersionDescription ClientToken LaunchTemplateData.*",
)
def create_launch_template_version(
    ctx: Context,
    launch_template_data: dict[str, Any],
    launch_template_id: str | None = None,
    launch_template_name: str | None = None,
    source_version: str | None = None,
    version_description: str = "",
    dry_run: bool = False,
    **_: Any,
) -> Reply:
    """From a source version, what is given replaces what that one says, member by member."""
    template = find(ctx, launch_template_id, launch_template_name)
    base = the_version(template, source_version).data if source_version else {}
    data = checked_data({**base, **launch_template_data})
    dry(dry_run)
    version = Version(template.latest + 1, data, ctx.now, ctx.principal.arn, version_description)
    template.versions, template.latest = [*template.versions, version], version.number
    ctx.tx.put(template)
    return {"LaunchTemplateVersion": version_shape(template, version)}


@reads(
    "ec2",
    "DescribeLaunchTemplates",
    authorize=on_everything("ec2:DescribeLaunchTemplates"),
    acts="LaunchTemplateIds[] LaunchTemplateNames[] Filters[].Name Filters[].Values[] MaxResults NextToken DryRun",
    cost="scan",
)
def describe_launch_templates(
    ctx: Context,
    launch_template_ids: list[str] | None = None,
    launch_template_names: list[str] | None = None,
    filters: list[dict[str, Any]] | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
    dry_run: bool = False,
) -> Reply:
    dry(dry_run)
    size = checked_page(max_results, 1, 200)
    found = [find(ctx, name, None) for name in launch_template_ids or []] + [find(ctx, None, name) for name in launch_template_names or []]
    if not launch_template_ids and not launch_template_names:
        found = every(ctx, LaunchTemplate)
    known = {"launch-template-name": tells("LaunchTemplateName"), "create-time": tells("CreateTime")}
    shapes = chosen([template_shape(ctx, template) for template in found], filters, known)
    return page_of(shapes, "LaunchTemplateId", "LaunchTemplates", size, next_token)


@reads(
    "ec2",
    "DescribeLaunchTemplateVersions",
    authorize=on_everything("ec2:DescribeLaunchTemplateVersions"),
    acts="LaunchTemplateId LaunchTemplateName Versions[] MinVersion MaxVersion Filters[].Name Filters[].Values[] MaxResults NextToken DryRun",
    default_only={"ResolveAlias": False},
    cost="scan",
)
def describe_launch_template_versions(
    ctx: Context,
    launch_template_id: str | None = None,
    launch_template_name: str | None = None,
    versions: list[str] | None = None,
    min_version: str | None = None,
    max_version: str | None = None,
    filters: list[dict[str, Any]] | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
    dry_run: bool = False,
    **_: Any,
) -> Reply:
    dry(dry_run)
    size = checked_page(max_results, 1, 200)
    if launch_template_id or launch_template_name:
        template = find(ctx, launch_template_id, launch_template_name)
        held = [the_version(template, said) for said in versions] if versions else list(reversed(template.versions))
        low, high = number(min_version, 1), number(max_version, template.latest)
        found = [(template, version) for version in held if low <= version.number <= high]
    else:
        if not versions or set(versions) - {"$Latest", "$Default"}:
            raise AwsError("MissingParameter", "Either a launch template ID or a launch template name must be specified in the request.")
        found = [(template, the_version(template, said)) for template in every(ctx, LaunchTemplate) for said in versions]
    shapes = [version_shape(template, version) for template, version in found]
    known = {
        "is-default-version": tells("DefaultVersion"),
        "image-id": tells("LaunchTemplateData", "ImageId"),
        "instance-type": tells("LaunchTemplateData", "InstanceType"),
    }
    kept = [{**shape, "At": f"{shape['LaunchTemplateId']} {shape['VersionNumber']:012d}"} for shape in chosen(shapes, filters, known)]
    reply = page_of(kept, "At", "LaunchTemplateVersions", size, next_token)
    return {**reply, "LaunchTemplateVersions": [{k: v for k, v in one.items() if k != "At"} for one in reply["LaunchTemplateVersions"]]}


def number(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else otherwise


@writes(
    "ec2",
    "ModifyLaunchTemplate",
    authorize=on_template("ModifyLaunchTemplate"),
    acts="LaunchTemplateId LaunchTemplateName DefaultVersion DryRun",
    descriptive="ClientToken",
)
def modify_launch_template(
    ctx: Context,
    launch_template_id: str | None = None,
    launch_template_name: str | None = None,
    default_version: str | None = None,
    dry_run: bool = False,
    **_: Any,
) -> Reply:
    template = find(ctx, launch_template_id, launch_template_name)
    if not default_version:
        raise AwsError("MissingParameter", "The request must contain the parameter DefaultVersion")
    version = the_version(template, default_version)
    dry(dry_run)
    template.default = version.number
    ctx.tx.put(template)
    return {"LaunchTemplate": template_shape(ctx, template)}


@writes(
    "ec2",
    "DeleteLaunchTemplate",
    authorize=on_template("DeleteLaunchTemplate"),
    acts="LaunchTemplateId LaunchTemplateName DryRun",
)
def delete_launch_template(
    ctx: Context, launch_template_id: str | None = None, launch_template_name: str | None = None, dry_run: bool = False
) -> Reply:
    template = find(ctx, launch_template_id, launch_template_name)
    dry(dry_run)
    ctx.tx.delete(LaunchTemplate, template.id)
    return {"LaunchTemplate": template_shape(ctx, template)}


@writes(
    "ec2",
    "DeleteLaunchTemplateVersions",
    authorize=on_template("DeleteLaunchTemplateVersions"),
    acts="LaunchTemplateId LaunchTemplateName Versions[] DryRun",
)
def delete_launch_template_versions(
    ctx: Context,
    versions: list[str],
    launch_template_id: str | None = None,
    launch_template_name: str | None = None,
    dry_run: bool = False,
) -> Reply:
    """Item by item; the default version stays."""
    template = find(ctx, launch_template_id, launch_template_name)
    dry(dry_run)
    gone, refused = [], []
    for said in versions:
        version = template.version(said)
        shown = {"LaunchTemplateId": template.id, "LaunchTemplateName": template.name, "VersionNumber": number(said, 0)}
        if version is None:
            words = f"Could not find launch template version {said} for launch template {template.id}."
            refused.append(shown | {"ResponseError": {"Code": "launchTemplateVersionDoesNotExist", "Message": words}})
        elif version.number == template.default:
            words = "The default version of a launch template cannot be deleted."
            refused.append(shown | {"ResponseError": {"Code": "unexpectedError", "Message": words}})
        else:
            template.versions = [held for held in template.versions if held is not version]
            gone.append(shown)
    ctx.tx.put(template)
    return {"SuccessfullyDeletedLaunchTemplateVersions": gone, "UnsuccessfullyDeletedLaunchTemplateVersions": refused}


def launch_data(ctx: Context, asked: Mapping[str, str]) -> tuple[LaunchTemplate, Version]:
    """The version that a launch names."""
    template = find(ctx, asked.get("LaunchTemplateId"), asked.get("LaunchTemplateName"))
    return template, the_version(template, asked.get("Version") or "")
