"""The images of a repository: there are none, and whoever asks for one is told so as AWS would."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads
from windtunnel.services.ecr.lookups import in_registry, invalid, on_repository, registry, the_repository

_LOOKED_FOR = "registryId repositoryName nextToken maxResults filter.tagStatus filter.imageStatus"


@reads("ecr", "ListImages", authorize=on_repository("ListImages"), acts=_LOOKED_FOR)
def list_images(
    ctx: Context,
    repository_name: str,
    registry_id: str | None = None,
    next_token: str | None = None,
    max_results: int = 100,
    filter: dict[str, str] | None = None,
) -> Reply:
    the_repository(registry(ctx, registry_id), repository_name)
    return {"imageIds": []}


@reads("ecr", "DescribeImages", authorize=on_repository("DescribeImages"), acts=f"{_LOOKED_FOR} imageIds[].imageDigest imageIds[].imageTag")
def describe_images(
    ctx: Context,
    repository_name: str,
    registry_id: str | None = None,
    image_ids: list[dict[str, str]] | None = None,
    next_token: str | None = None,
    max_results: int = 100,
    filter: dict[str, Any] | None = None,
) -> Reply:
    home = registry(ctx, registry_id)
    the_repository(home, repository_name)
    for wanted in image_ids or []:
        if not wanted:
            raise invalid("imageIds", "an image digest or an image tag must be given")
        digest, tag = (f"'{wanted.get(member, 'null')}'" for member in ("imageDigest", "imageTag"))
        said = f"The image with imageId {{imageDigest:{digest}, imageTag:{tag}}} does not exist within the "
        raise AwsError("ImageNotFoundException", said + in_registry(home, repository_name))
    return {"imageDetails": []}
