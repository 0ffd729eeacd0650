"""AWS::CodeCommit::Repository."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.provision.calling import perform
from windtunnel.provision.handling import Direct, changed, listed, tag_changes, with_stack_tags
from windtunnel.provision.registry import Created, Failed, Properties, Resource, Wanted, resource_type
from windtunnel.provision.showing import renamed, tag_map, tags_shown
from windtunnel.services.codecommit.model import Repository
from windtunnel.services.codecommit.operations import OBJECTS
from windtunnel.services.codecommit.seeding import Seed, begin, sow

MISSING = frozenset({"RepositoryDoesNotExistException"})
_SHOWN = {
    "RepositoryName": "repositoryName",
    "RepositoryDescription": "repositoryDescription",
    "KmsKeyId": "kmsKeyId",
    "RepositoryId": "repositoryId",
    "Name": "repositoryName",
    "Arn": "Arn",
    "CloneUrlHttp": "cloneUrlHttp",
    "CloneUrlSsh": "cloneUrlSsh",
}
_GIVEN = ("RepositoryId", "Name", "Arn", "CloneUrlHttp", "CloneUrlSsh")


def _commit(ctx: Context, operation: str, **members: Any) -> Any:
    return perform(ctx, "codecommit", operation, **members)


def _uncapitalized(name: str) -> str:
    return name[:1].lower() + name[1:]


@resource_type("AWS::CodeCommit::Repository")
class RepositoryType(Direct):
    """Ref is the repository's id, by which nothing can be asked for: its name is a property, or is looked for. Code counts at creation only, as on AWS."""

    service = "codecommit"
    calls = "CreateRepository PutRepositoryTriggers UpdateRepositoryName UpdateRepositoryDescription DeleteRepository ListRepositories TagResource UntagResource"
    missing = MISSING
    slow = True

    def prepare(self, ctx: Context, props: Properties, wanted: Wanted) -> Any:
        """The first commit, of a repository that is not there. What goes wrong with it matters to a creation only."""
        if not props.get("Code") or ctx.tx.get(Repository, props["RepositoryName"]) is not None:
            return None
        try:
            return sow(ctx, props["Code"])
        except (AwsError, Failed) as error:
            return error

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        self._refuse(ctx, {}, props)
        seed = ctx.found.get("prepared")
        if isinstance(seed, AwsError | Failed):
            raise seed
        if isinstance(seed, Seed):
            ctx.found[OBJECTS] = seed.repository_id
        made = _commit(
            ctx,
            "CreateRepository",
            repositoryName=props["RepositoryName"],
            repositoryDescription=props.get("RepositoryDescription"),
            kmsKeyId=props.get("KmsKeyId"),
            tags=tag_map(with_stack_tags(props.get("Tags"), wanted)) or None,
        )["repositoryMetadata"]
        if isinstance(seed, Seed):
            begin(ctx, props["RepositoryName"], seed)
        self._trigger(ctx, props["RepositoryName"], {}, props)
        shown = renamed(made, _SHOWN)
        return Created(id=shown["RepositoryId"], attributes={name: shown[name] for name in _GIVEN})

    def _refuse(self, ctx: Context, old: Properties, new: Properties) -> None:
        """What is not built, by the operation that would do it."""
        if old and new.get("KmsKeyId") != old.get("KmsKeyId"):
            _commit(ctx, "UpdateRepositoryEncryptionKey")

    def _trigger(self, ctx: Context, name: str, old: Properties, new: Properties) -> None:
        """All triggers are one setting."""
        if (new.get("Triggers") or None) != (old.get("Triggers") or None):
            triggers = [{_uncapitalized(member): value for member, value in each.items()} for each in new.get("Triggers") or ()]
            _commit(ctx, "PutRepositoryTriggers", repositoryName=name, triggers=triggers)

    def _name(self, ctx: Context, resource: Resource) -> str | None:
        """By its id, which stays; names may have been given to others."""
        every = listed(ctx, "codecommit", "ListRepositories", "repositories", ("nextToken", "nextToken"))
        return next((one["repositoryName"] for one in every if one["repositoryId"] == resource.id), None)

    def _found(self, ctx: Context, resource: Resource) -> Properties | None:
        name = self._name(ctx, resource)
        return renamed(_commit(ctx, "GetRepository", repositoryName=name)["repositoryMetadata"], _SHOWN) if name else None

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        found = self._found(ctx, resource)
        if found is None:
            return None
        triggers = _commit(ctx, "GetRepositoryTriggers", repositoryName=found["RepositoryName"])["triggers"]
        if triggers:
            found["Triggers"] = [{name[:1].upper() + name[1:]: value for name, value in each.items()} for each in triggers]
        return found | tags_shown(_commit(ctx, "ListTagsForResource", resourceArn=found["Arn"])["tags"])

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        old, name = resource.properties, new["RepositoryName"]
        self._refuse(ctx, old, new)
        if changed(old, new, "RepositoryName"):
            _commit(ctx, "UpdateRepositoryName", oldName=old["RepositoryName"], newName=name)
        if changed(old, new, "RepositoryDescription"):
            _commit(ctx, "UpdateRepositoryDescription", repositoryName=name, repositoryDescription=new.get("RepositoryDescription", ""))
        self._trigger(ctx, name, old, new)
        added, gone = tag_changes(old.get("Tags"), new.get("Tags"))
        arn = ctx.arn("codecommit", name)
        if gone:
            _commit(ctx, "UntagResource", resourceArn=arn, tagKeys=gone)
        if added:
            _commit(ctx, "TagResource", resourceArn=arn, tags=tag_map(added))
        places = {member: f"{resource.attributes[member].rpartition('/')[0]}/{name}" for member in ("CloneUrlHttp", "CloneUrlSsh")}
        return Created(id=resource.id, attributes={**resource.attributes, **places, "Name": name, "Arn": arn})

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        name = self._name(ctx, resource)
        if name is not None:
            _commit(ctx, "DeleteRepository", repositoryName=name)
        return True

    def list(self, ctx: Context) -> Iterator[str]:
        every = listed(ctx, "codecommit", "ListRepositories", "repositories", ("nextToken", "nextToken"))
        return (one["repositoryId"] for one in every)
