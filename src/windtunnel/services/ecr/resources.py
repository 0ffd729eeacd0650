"""AWS::ECR::Repository."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.provision.calling import perform
from windtunnel.provision.handling import Direct, attempt, listed, tag_changes, with_stack_tags
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted, resource_type
from windtunnel.provision.showing import some, tags_shown

MISSING = frozenset({"RepositoryNotFoundException"})
_NONE = MISSING | {"RepositoryPolicyNotFoundException", "LifecyclePolicyNotFoundException"}


def _ecr(ctx: Context, operation: str, **members: Any) -> Any:
    return perform(ctx, "ecr", operation, **members)


def _filters(props: Properties) -> list[dict[str, str]] | None:
    given = props.get("ImageTagMutabilityExclusionFilters")
    names = {"filterType": "ImageTagMutabilityExclusionFilterType", "filter": "ImageTagMutabilityExclusionFilterValue"}
    return [{member: one[name] for member, name in names.items() if name in one} for one in given] if given else None


def _text(policy: Any) -> str:
    return policy if isinstance(policy, str) else json.dumps(policy, separators=(",", ":"))


def _camel(props: Properties, name: str) -> dict[str, Any] | None:
    """A flat structure property with the API's names."""
    given = props.get(name)
    return {member[0].lower() + member[1:]: value for member, value in given.items()} if given is not None else None


@resource_type("AWS::ECR::Repository")
class RepositoryType(Direct):
    service = "ecr"
    calls = (
        "CreateRepository DeleteRepository SetRepositoryPolicy DeleteRepositoryPolicy PutLifecyclePolicy"
        " DeleteLifecyclePolicy PutImageTagMutability PutImageScanningConfiguration TagResource UntagResource"
    )
    name = Name("RepositoryName", limit=256, lower=True)
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        made = _ecr(
            ctx,
            "CreateRepository",
            repositoryName=wanted.name,
            tags=with_stack_tags(props.get("Tags"), wanted) or None,
            imageTagMutability=props.get("ImageTagMutability"),
            imageTagMutabilityExclusionFilters=_filters(props),
            imageScanningConfiguration=_camel(props, "ImageScanningConfiguration"),
            encryptionConfiguration=_camel(props, "EncryptionConfiguration"),
        )["repository"]
        self._police(ctx, wanted.name, {}, props)
        return Created(id=wanted.name, attributes={"Arn": made["repositoryArn"], "RepositoryUri": made["repositoryUri"]})

    def _police(self, ctx: Context, name: str, old: Properties, new: Properties) -> None:
        """Both policies as they are to be."""
        policy, lifecycle = new.get("RepositoryPolicyText"), new.get("LifecyclePolicy") or {}
        if policy and policy != old.get("RepositoryPolicyText"):
            _ecr(ctx, "SetRepositoryPolicy", repositoryName=name, policyText=_text(policy))
        elif old.get("RepositoryPolicyText") and not policy:
            attempt(ctx, _NONE, "ecr", "DeleteRepositoryPolicy", repositoryName=name)
        text = lifecycle.get("LifecyclePolicyText")
        if text and lifecycle != old.get("LifecyclePolicy"):
            registry = lifecycle.get("RegistryId")
            _ecr(ctx, "PutLifecyclePolicy", repositoryName=name, lifecyclePolicyText=text, registryId=registry)
        elif (old.get("LifecyclePolicy") or {}).get("LifecyclePolicyText") and not text:
            attempt(ctx, _NONE, "ecr", "DeleteLifecyclePolicy", repositoryName=name)

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        found = attempt(ctx, MISSING, "ecr", "DescribeRepositories", repositoryNames=[resource.id])
        if found is None:
            return None
        [one] = found["repositories"]
        shown = {
            "RepositoryName": resource.id,
            "Arn": one["repositoryArn"],
            "RepositoryUri": one["repositoryUri"],
            "ImageTagMutability": one["imageTagMutability"],
            "ImageScanningConfiguration": {"ScanOnPush": one["imageScanningConfiguration"]["scanOnPush"]},
            "EncryptionConfiguration": {"EncryptionType": one["encryptionConfiguration"]["encryptionType"]},
        }
        if one.get("imageTagMutabilityExclusionFilters"):
            shown["ImageTagMutabilityExclusionFilters"] = [
                {"ImageTagMutabilityExclusionFilterType": each["filterType"], "ImageTagMutabilityExclusionFilterValue": each["filter"]}
                for each in one["imageTagMutabilityExclusionFilters"]
            ]
        policy = attempt(ctx, _NONE, "ecr", "GetRepositoryPolicy", repositoryName=resource.id)
        if policy is not None:
            shown["RepositoryPolicyText"] = json.loads(policy["policyText"])
        lifecycle = attempt(ctx, _NONE, "ecr", "GetLifecyclePolicy", repositoryName=resource.id)
        if lifecycle is not None:
            given = resource.properties.get("LifecyclePolicy") or {}
            shown["LifecyclePolicy"] = {"LifecyclePolicyText": lifecycle["lifecyclePolicyText"], **some(given, "RegistryId")}
        return shown | tags_shown(_ecr(ctx, "ListTagsForResource", resourceArn=one["repositoryArn"])["tags"])

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        old, name = resource.properties, resource.id
        if any(old.get(member) != new.get(member) for member in ("ImageTagMutability", "ImageTagMutabilityExclusionFilters")):
            mutability, filters = new.get("ImageTagMutability") or "MUTABLE", _filters(new)
            _ecr(
                ctx, "PutImageTagMutability", repositoryName=name, imageTagMutability=mutability, imageTagMutabilityExclusionFilters=filters
            )
        if old.get("ImageScanningConfiguration") != new.get("ImageScanningConfiguration"):
            scanning = _camel(new, "ImageScanningConfiguration") or {"scanOnPush": False}
            _ecr(ctx, "PutImageScanningConfiguration", repositoryName=name, imageScanningConfiguration=scanning)
        self._police(ctx, name, old, new)
        added, gone = tag_changes(old.get("Tags"), new.get("Tags"))
        arn = ctx.arn("ecr", f"repository/{name}")
        if gone:
            _ecr(ctx, "UntagResource", resourceArn=arn, tagKeys=gone)
        if added:
            _ecr(ctx, "TagResource", resourceArn=arn, tags=added)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        force = True if resource.properties.get("EmptyOnDelete") else None
        attempt(ctx, MISSING, "ecr", "DeleteRepository", repositoryName=resource.id, force=force)
        return True

    def list(self, ctx: Context) -> Iterator[str]:
        return (one["repositoryName"] for one in listed(ctx, "ecr", "DescribeRepositories", "repositories", ("nextToken", "nextToken")))
