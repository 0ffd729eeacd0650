"""Repositories: create, describe, delete, and how images in them would be treated."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.tags import users_pairs
from windtunnel.services.ecr.lookups import invalid, need, on_repository, registry, request_tags, the_repository
from windtunnel.services.ecr.model import Repository
from windtunnel.services.ecr.operations.tags import merged

_FILTERS = "imageTagMutabilityExclusionFilters[].filterType imageTagMutabilityExclusionFilters[].filter"
_WITH_FILTERS = ("IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION")


def may_create(
    ctx: Context, repository_name: str, registry_id: str | None = None, tags: list[dict[str, str]] | None = None, **_: Any
) -> list[Need]:
    asked = request_tags(users_pairs(tags))
    needs = [need(ctx, "CreateRepository", repository_name, registry_id, asked)]
    return [*needs, need(ctx, "TagResource", repository_name, registry_id, asked)] if asked else needs


def _check_filters(mutability: str, filters: list[dict[str, str]] | None) -> None:
    if bool(filters) != (mutability in _WITH_FILTERS):
        raise invalid("imageTagMutabilityExclusionFilters", f"must be given with, and only with, {' or '.join(_WITH_FILTERS)}")


@writes(
    "ecr",
    "CreateRepository",
    authorize=may_create,
    acts="registryId repositoryName tags[].Key tags[].Value encryptionConfiguration.encryptionType",
    descriptive=f"imageTagMutability {_FILTERS} imageScanningConfiguration.scanOnPush",
)
def create_repository(
    ctx: Context,
    repository_name: str,
    registry_id: str | None = None,
    tags: list[dict[str, str]] | None = None,
    image_tag_mutability: str = "MUTABLE",
    image_tag_mutability_exclusion_filters: list[dict[str, str]] | None = None,
    image_scanning_configuration: dict[str, bool] | None = None,
    encryption_configuration: dict[str, str] | None = None,
) -> Reply:
    home = registry(ctx, registry_id)
    encryption = (encryption_configuration or {}).get("encryptionType", "AES256")
    if encryption != "AES256":
        raise not_built("ecr", "CreateRepository", f"encryptionConfiguration.encryptionType {encryption}")
    if home.tx.get(Repository, repository_name) is not None:
        said = f"The repository with name '{repository_name}' already exists in the registry with id '{home.scope.account}'"
        raise AwsError("RepositoryAlreadyExistsException", said)
    _check_filters(image_tag_mutability, image_tag_mutability_exclusion_filters)
    made = Repository(
        name=repository_name,
        created=ctx.now,
        mutability=image_tag_mutability,
        exclusions=image_tag_mutability_exclusion_filters or [],
        scan_on_push=bool((image_scanning_configuration or {}).get("scanOnPush")),
        tags=merged(ctx, {}, tags or []),
    )
    home.tx.insert(made)
    return {"repository": made.described(home.scope)}


def may_describe(ctx: Context, repository_names: list[str] | None = None, registry_id: str | None = None, **_: Any) -> list[Need]:
    return [need(ctx, "DescribeRepositories", name, registry_id) for name in repository_names or ["*"]]


@reads(
    "ecr",
    "DescribeRepositories",
    authorize=may_describe,
    acts="registryId repositoryNames[] nextToken maxResults",
    cost="scan",
)
def describe_repositories(
    ctx: Context,
    registry_id: str | None = None,
    repository_names: list[str] | None = None,
    next_token: str | None = None,
    max_results: int = 100,
) -> Reply:
    home = registry(ctx, registry_id)
    if repository_names is not None:
        return {"repositories": [the_repository(home, name).described(home.scope) for name in dict.fromkeys(repository_names)]}
    found = home.tx.scan(Repository, after=next_token, limit=max_results + 1)
    reply: Reply = {"repositories": [one.described(home.scope) for one in found[:max_results]]}
    if len(found) > max_results:
        reply["nextToken"] = found[max_results - 1].name
    return reply


@writes(
    "ecr",
    "DeleteRepository",
    authorize=on_repository("DeleteRepository"),
    acts="registryId repositoryName",
    descriptive="force",
)
def delete_repository(ctx: Context, repository_name: str, registry_id: str | None = None, force: bool = False) -> Reply:
    """force is for repositories with images, of which there are none."""
    home = registry(ctx, registry_id)
    found = the_repository(home, repository_name)
    home.tx.delete(Repository, repository_name)
    return {"repository": found.described(home.scope)}


@writes(
    "ecr",
    "PutImageTagMutability",
    authorize=on_repository("PutImageTagMutability"),
    acts="registryId repositoryName",
    descriptive=f"imageTagMutability {_FILTERS}",
)
def put_image_tag_mutability(
    ctx: Context,
    repository_name: str,
    image_tag_mutability: str,
    registry_id: str | None = None,
    image_tag_mutability_exclusion_filters: list[dict[str, str]] | None = None,
) -> Reply:
    home = registry(ctx, registry_id)
    _check_filters(image_tag_mutability, image_tag_mutability_exclusion_filters)
    filters = image_tag_mutability_exclusion_filters or []
    changed = msgspec.structs.replace(the_repository(home, repository_name), mutability=image_tag_mutability, exclusions=filters)
    home.tx.put(changed)
    reply = changed.named(home.scope) | {"imageTagMutability": image_tag_mutability}
    return reply | ({"imageTagMutabilityExclusionFilters": filters} if filters else {})


@writes(
    "ecr",
    "PutImageScanningConfiguration",
    authorize=on_repository("PutImageScanningConfiguration"),
    acts="registryId repositoryName",
    descriptive="imageScanningConfiguration.scanOnPush",
)
def put_image_scanning_configuration(
    ctx: Context, repository_name: str, image_scanning_configuration: dict[str, bool], registry_id: str | None = None
) -> Reply:
    home = registry(ctx, registry_id)
    wanted = bool(image_scanning_configuration.get("scanOnPush"))
    changed = msgspec.structs.replace(the_repository(home, repository_name), scan_on_push=wanted)
    home.tx.put(changed)
    return changed.named(home.scope) | {"imageScanningConfiguration": {"scanOnPush": wanted}}
