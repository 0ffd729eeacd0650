"""What the operations on all nouns of EC2's networking share: finding records, making ids, tags, client tokens, permissions, and describing.

Invariants: an id that is not there is an error in that noun's own words; a write stores the default network first (`ensure`), so that ids of the
default network are found like any other; what a new resource is tagged with needs ec2:CreateTags as well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from windtunnel.kernel.context import Authorize, Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads
from windtunnel.kernel.tags import by_stack, users_pairs
from windtunnel.services.ec2.filters import Values, chosen
from windtunnel.services.ec2.instances import dry, on_everything
from windtunnel.services.ec2.model import checked_tags, tag_key, tag_list
from windtunnel.services.ec2.network.defaults import ensure, stored, virtual
from windtunnel.services.ec2.network.model import Resource, Vpc
from windtunnel.wire.naming import xform

R = TypeVar("R", bound=Resource)
TAGS = "TagSpecifications[].ResourceType TagSpecifications[].Tags[].Key TagSpecifications[].Tags[].Value"
"""The members that every creation takes."""


# -- finding --------------------------------------------------------------------------------------------------------


def every(ctx: Context, kind: type[R]) -> list[R]:
    """All there are of a kind, those of the default network included."""
    return ctx.tx.scan(kind) or virtual(ctx, kind)


def peek(ctx: Context, kind: type[R], name: str) -> R | None:
    """The record, also one of the default network that nobody has stored yet."""
    found = ctx.tx.get(kind, name)
    if found is None and not stored(ctx):
        return next((record for record in virtual(ctx, kind) if record.id == name), None)
    return found


def gone(kind: type[Resource], name: str) -> AwsError:
    code, words = kind.MISSING
    return AwsError(code, words.format(name))


def the(ctx: Context, kind: type[R], name: str) -> R:
    """The record by its id. Raises the noun's NotFound."""
    found = peek(ctx, kind, name)
    if found is None:
        raise gone(kind, name)
    return found


def new_id(ctx: Context, kind: type[Resource] | str) -> str:
    return f"{kind if isinstance(kind, str) else kind.PREFIX}-0{ctx.ids.hex(16)}"


def required(value: Any, name: str) -> Any:
    """A member that AWS wants although its model does not say so."""
    if value is None or value == "" or value == []:
        raise AwsError("MissingParameter", f"The request must contain the parameter {name}")
    return value


# -- tags -----------------------------------------------------------------------------------------------------------


def given_tags(ctx: Context, specifications: Sequence[Mapping[str, Any]] | None, kind: type[Resource] | str) -> dict[str, str]:
    """What TagSpecifications say for this resource; for any other they are an error."""
    wanted = kind if isinstance(kind, str) else kind.TYPE
    found: list[dict[str, str]] = []
    for item in specifications or []:
        if item.get("ResourceType") != wanted:
            raise AwsError(
                "InvalidParameterValue", f"'{item.get('ResourceType')}' is not a valid taggable resource type for this operation."
            )
        found += item.get("Tags") or []
    return checked_tags(found, by_stack(ctx))


def tagged(record: Resource) -> list[dict[str, str]]:
    return tag_list(record.tags)


# -- client tokens --------------------------------------------------------------------------------------------------


def fingerprint(request: Mapping[str, Any]) -> str:
    """What a request with a client token asked for, to know it again."""
    return hashlib.sha256(json.dumps(request, sort_keys=True, default=str).encode()).hexdigest()[:32]


def made_before(ctx: Context, kind: type[R], token: str | None, request: Mapping[str, Any]) -> R | None:
    """What an earlier request with this token made. Raises IdempotentParameterMismatch when that one asked for something else."""
    earlier = ctx.tx.find(kind, "token", token, limit=1) if token else []
    if earlier and earlier[0].fingerprint != fingerprint(request):
        raise AwsError(
            "IdempotentParameterMismatch",
            "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
        )
    return earlier[0] if earlier else None


def made_in_vpc(
    ctx: Context, kind: type[R], vpc_id: str, client_token: str | None, specifications: list[dict[str, Any]] | None, dry_run: bool
) -> R:
    """A new thing of a VPC that is told nothing but its VPC, its tags and a client token; the same one for the same token."""
    request = {"VpcId": vpc_id, "TagSpecifications": specifications}
    made = made_before(ctx, kind, client_token, request)
    if made is not None:
        return made
    the(ctx, Vpc, vpc_id)
    tags = given_tags(ctx, specifications, kind)
    dry(dry_run)
    ensure(ctx)
    build: Callable[..., R] = kind
    made = build(id=new_id(ctx, kind), vpc_id=vpc_id, tags=tags, client_token=client_token or "", fingerprint=fingerprint(request))
    ctx.tx.put(made)
    return made


def by_token(record: Resource) -> list[str]:
    """The index "token" of a kind that takes client tokens."""
    return [record.client_token] if record.client_token else []


# -- permissions ----------------------------------------------------------------------------------------------------


def keys_of(ctx: Context, kind: type[Resource], name: str) -> dict[str, Any]:
    """The condition keys of a resource: its region, its tags, and what its kind has of its own."""
    keys: dict[str, Any] = {"ec2:Region": ctx.scope.region}
    record = peek(ctx, kind, name)
    if record is not None:
        keys |= record.condition_keys(ctx.scope)
        for key, value in record.tags.items():
            keys |= {f"aws:ResourceTag/{key}": value, f"ec2:ResourceTag/{key}": value}
    return keys


def need(ctx: Context, action: str, kind: type[Resource], name: str, extra: Mapping[str, Any] | None = None) -> Need:
    return Need(f"ec2:{action}", ctx.scope.arn("ec2", f"{kind.TYPE}/{name}"), {**keys_of(ctx, kind, name), **(extra or {})})


def new_needs(ctx: Context, action: str, kind: type[Resource], specifications: Any, extra: Mapping[str, Any] | None = None) -> list[Need]:
    """To make one, and to tag it."""
    arn = ctx.scope.arn("ec2", f"{kind.TYPE}/*")
    tags = users_pairs(tag for item in specifications or [] for tag in item.get("Tags") or [])
    asked: dict[str, Any] = {"ec2:Region": ctx.scope.region, **(extra or {})}
    if tags:
        asked |= {f"aws:RequestTag/{tag_key(tag)}": tag.get("Value", "") for tag in tags}
        asked["aws:TagKeys"] = [tag_key(tag) for tag in tags]
    needs = [Need(f"ec2:{action}", arn, asked)]
    if tags:
        needs.append(Need("ec2:CreateTags", arn, asked | {"ec2:CreateAction": action}))
    return needs


def on(action: str, *named: tuple[type[Resource], str], new: type[Resource] | None = None) -> Authorize:
    """authorize= of an operation on the resources whose ids are in these arguments (one or a list each), and on a new one."""

    def authorize(ctx: Context, **given: Any) -> list[Need]:
        needs: list[Need] = []
        for kind, argument in named:
            value = given.get(argument)
            names: Iterable[str] = value if isinstance(value, list) else [value] if value else []
            needs += [need(ctx, action, kind, name) for name in names]
        if new is not None:
            needs += new_needs(ctx, action, new, given.get("tag_specifications"))
        return needs or [Need(f"ec2:{action}", "*", {"ec2:Region": ctx.scope.region})]

    return authorize


# -- describing -----------------------------------------------------------------------------------------------------

Shape = dict[str, Any]


def tells(*path: str) -> Values:
    """A filter's value out of a shape: a member's text, its members' below (lists are gone through), booleans as `true` and `false`."""

    def values(shape: Shape) -> list[str]:
        found: list[Any] = [shape]
        for step in path:
            found = [inner for item in found if isinstance(item, dict) and step in item for inner in _flat(item[step])]
        return [str(item).lower() if isinstance(item, bool) else str(item) for item in found]

    return values


def _flat(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def checked_page(max_results: int | None, least: int = 5, most: int = 1000) -> int | None:
    if max_results is not None and not least <= max_results <= most:
        word = f"greater than {least}" if max_results < least else f"less than {most}"
        raise AwsError("InvalidParameterValue", f"Value ( {max_results} ) for parameter maxResults is invalid. Expecting a value {word}.")
    return max_results


def page_of(shapes: list[Shape], member: str, out: str, max_results: int | None, next_token: str | None) -> Reply:
    """One page of shapes that are told apart by a member, in its order."""
    if not max_results and not next_token:
        return {out: shapes}
    ordered = sorted((shape for shape in shapes if next_token is None or str(shape[member]) > next_token), key=lambda s: str(s[member]))
    page = ordered[:max_results] if max_results else ordered
    reply: Reply = {out: page}
    if len(page) < len(ordered):
        reply["NextToken"] = str(page[-1][member])
    return reply


def describes(
    name: str,
    kind: type[R],
    shape: Callable[[Context, R], Shape],
    *,
    ids: str,
    member: str,
    out: str,
    filters: Mapping[str, Values],
    filter_member: str = "Filters",
    listed: Callable[[Context], list[R]] | None = None,
    limits: tuple[int, int] = (5, 1000),
) -> None:
    """Register a Describe operation. ids: the input member with ids; member: where a shape has its id; out: the output member with the shapes."""
    chosen_ids, chosen_filters = xform(ids), xform(filter_member)

    @reads(
        "ec2",
        name,
        authorize=on_everything(f"ec2:{name}"),
        acts=f"{ids}[] {filter_member}[].Name {filter_member}[].Values[] MaxResults NextToken DryRun",
        cost="scan",
    )
    def handler(ctx: Context, **given: Any) -> Reply:
        dry(given.get("dry_run", False))
        size = checked_page(given.get("max_results"), *limits)
        wanted = given.get(chosen_ids)
        found = [the(ctx, kind, each) for each in dict.fromkeys(wanted)] if wanted else (listed or (lambda c: every(c, kind)))(ctx)
        shapes = chosen([shape(ctx, record) for record in found], given.get(chosen_filters), filters)
        return page_of(shapes, member, out, size, given.get("next_token"))
