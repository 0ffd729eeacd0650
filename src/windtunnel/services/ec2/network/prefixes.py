"""Prefix lists: AWS's own for S3 and DynamoDB, and those that customers manage (EC2 API reference, 2016-11-15)."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.scope import Scope
from windtunnel.services.ec2.filters import chosen
from windtunnel.services.ec2.instances import dry, on_everything
from windtunnel.services.ec2.network.addresses import canonical, canonical6
from windtunnel.services.ec2.network.common import (
    TAGS,
    Shape,
    by_token,
    checked_page,
    every,
    fingerprint,
    given_tags,
    gone,
    made_before,
    new_id,
    on,
    page_of,
    tagged,
    tells,
    the,
)
from windtunnel.services.ec2.network.model import Resource, SecurityGroup, SecurityGroupRule
from windtunnel.services.ec2.network.surroundings import RouteTable
from windtunnel.services.ec2.network.touching import touched


class Prefix(msgspec.Struct):
    cidr: str
    description: str = ""


class PrefixList(Resource, kw_only=True):
    """One that a customer manages. versions: the entries of each version, the first's first."""

    KIND: ClassVar[str] = "ec2.prefix-list"
    TYPE: ClassVar[str] = "prefix-list"
    PREFIX: ClassVar[str] = "pl"
    MISSING: ClassVar[tuple[str, str]] = ("InvalidPrefixListID.NotFound", "The prefix list ID '{}' does not exist")
    INDEXES: ClassVar = {"token": by_token}

    name: str
    family: str
    max_entries: int
    versions: list[list[Prefix]]
    modified: bool = False


AWS_LISTS = {"s3": ("3.5.0.0/19", "16.15.176.0/20", "52.216.0.0/15", "54.231.0.0/16"), "dynamodb": ("3.218.180.0/22", "52.94.0.0/22")}
"""Service -> its blocks (of us-east-1, by AWS's published ranges)."""


def aws_list_id(scope: Scope, service: str) -> str:
    known = {("us-east-1", "s3"): "pl-63a5400a", ("us-east-1", "dynamodb"): "pl-02cd2c6b"}
    digest = hashlib.sha256(f"{scope.region}/{service}".encode()).hexdigest()[:8]
    return known.get((scope.region, service), f"pl-{digest}")


def aws_lists(scope: Scope) -> dict[str, tuple[str, tuple[str, ...]]]:
    """id -> (name, blocks)."""
    return {aws_list_id(scope, name): (f"com.amazonaws.{scope.region}.{name}", blocks) for name, blocks in AWS_LISTS.items()}


def blocks_of(ctx: Context, name: str) -> list[str]:
    """The networks of version 4 that a list stands for now."""
    if name in aws_lists(ctx.scope):
        return list(aws_lists(ctx.scope)[name][1])
    held = ctx.tx.get(PrefixList, name)
    return [entry.cidr for entry in held.versions[-1]] if held is not None and held.family == "IPv4" else []


def told(ctx: Context, held: PrefixList) -> None:
    """The groups whose rules name the list let in others now."""
    groups = {rule.group_id for rule in ctx.tx.scan(SecurityGroupRule) if rule.prefix_list == held.id}
    for vpc_id in {group.vpc_id for name in groups if (group := ctx.tx.get(SecurityGroup, name)) is not None}:
        touched(ctx, vpc_id)


def exists(ctx: Context, name: str) -> bool:
    return name in aws_lists(ctx.scope) or ctx.tx.get(PrefixList, name) is not None


@reads(
    "ec2",
    "DescribePrefixLists",
    authorize=on_everything("ec2:DescribePrefixLists"),
    acts="PrefixListIds[] Filters[].Name Filters[].Values[] MaxResults NextToken DryRun",
)
def describe_prefix_lists(
    ctx: Context,
    prefix_list_ids: list[str] | None = None,
    filters: list[dict[str, Any]] | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
    dry_run: bool = False,
) -> Reply:
    """AWS's own only."""
    dry(dry_run)
    size, lists = checked_page(max_results), aws_lists(ctx.scope)
    for name in prefix_list_ids or []:
        if name not in lists:
            raise gone(PrefixList, name)
    shapes = [
        {"PrefixListId": name, "PrefixListName": said, "Cidrs": list(blocks)}
        for name, (said, blocks) in lists.items()
        if not prefix_list_ids or name in prefix_list_ids
    ]
    known = {"prefix-list-id": tells("PrefixListId"), "prefix-list-name": tells("PrefixListName")}
    return page_of(chosen(shapes, filters, known), "PrefixListId", "PrefixLists", size, next_token)


def list_shape(ctx: Context, held: PrefixList) -> Shape:
    return {
        "PrefixListId": held.id,
        "PrefixListArn": ctx.arn("ec2", f"prefix-list/{held.id}"),
        "PrefixListName": held.name,
        "AddressFamily": held.family,
        "MaxEntries": held.max_entries,
        "OwnerId": ctx.scope.account,
        "State": "modify-complete" if held.modified else "create-complete",
        "Version": len(held.versions),
        "Tags": tagged(held),
    }


def aws_shape(ctx: Context, name: str) -> Shape:
    said, _ = aws_lists(ctx.scope)[name]
    return {
        "PrefixListId": name,
        "PrefixListArn": f"arn:aws:ec2:{ctx.scope.region}:aws:prefix-list/{name}",
        "PrefixListName": said,
        "AddressFamily": "IPv4",
        "OwnerId": "AWS",
        "State": "create-complete",
        "Tags": [],
    }


@reads(
    "ec2",
    "DescribeManagedPrefixLists",
    authorize=on_everything("ec2:DescribeManagedPrefixLists"),
    acts="PrefixListIds[] Filters[].Name Filters[].Values[] MaxResults NextToken DryRun",
    cost="scan",
)
def describe_managed_prefix_lists(
    ctx: Context,
    prefix_list_ids: list[str] | None = None,
    filters: list[dict[str, Any]] | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
    dry_run: bool = False,
) -> Reply:
    dry(dry_run)
    size, own = checked_page(max_results, 1, 100), aws_lists(ctx.scope)
    if prefix_list_ids:
        shapes = [aws_shape(ctx, name) if name in own else list_shape(ctx, the(ctx, PrefixList, name)) for name in prefix_list_ids]
    else:
        shapes = [*(aws_shape(ctx, name) for name in own), *(list_shape(ctx, held) for held in every(ctx, PrefixList))]
    known = {"owner-id": tells("OwnerId"), "prefix-list-id": tells("PrefixListId"), "prefix-list-name": tells("PrefixListName")}
    return page_of(chosen(shapes, filters, known), "PrefixListId", "PrefixLists", size, next_token)


@reads(
    "ec2",
    "GetManagedPrefixListEntries",
    authorize=on("GetManagedPrefixListEntries", (PrefixList, "prefix_list_id")),
    acts="PrefixListId TargetVersion MaxResults NextToken DryRun",
    cost="scan",
)
def get_managed_prefix_list_entries(
    ctx: Context,
    prefix_list_id: str,
    target_version: int | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
    dry_run: bool = False,
) -> Reply:
    dry(dry_run)
    size, own = checked_page(max_results, 1, 100), aws_lists(ctx.scope)
    if prefix_list_id in own:
        return page_of([{"Cidr": cidr} for cidr in own[prefix_list_id][1]], "Cidr", "Entries", size, next_token)
    held = the(ctx, PrefixList, prefix_list_id)
    version = len(held.versions) if target_version is None else target_version
    if not 1 <= version <= len(held.versions):
        raise AwsError(
            "InvalidParameterValue", f"Value ({target_version}) for parameter targetVersion is invalid. There is no such version."
        )
    shapes = [{"Cidr": one.cidr} | ({"Description": one.description} if one.description else {}) for one in held.versions[version - 1]]
    return page_of(shapes, "Cidr", "Entries", size, next_token)


def checked_entries(family: str, entries: list[dict[str, Any]]) -> list[Prefix]:
    found: list[Prefix] = []
    for item in entries:
        given = item.get("Cidr") or ""
        cidr = canonical(given) if family == "IPv4" else canonical6(given)
        if cidr is None:
            raise AwsError("InvalidParameterValue", f"Value ({given}) for parameter Cidr is invalid. This is not a valid CIDR block.")
        if any(one.cidr == cidr for one in found):
            raise AwsError("InvalidParameterValue", f"The CIDR {cidr} must not appear multiple times.")
        found.append(Prefix(cidr, item.get("Description") or ""))
    return found


@writes(
    "ec2",
    "CreateManagedPrefixList",
    authorize=on("CreateManagedPrefixList", new=PrefixList),
    acts=f"PrefixListName AddressFamily MaxEntries Entries[].Cidr ClientToken DryRun {TAGS}",
    descriptive="Entries[].Description",
)
def create_managed_prefix_list(
    ctx: Context,
    prefix_list_name: str,
    max_entries: int,
    address_family: str,
    entries: list[dict[str, Any]] | None = None,
    client_token: str | None = None,
    tag_specifications: list[dict[str, Any]] | None = None,
    dry_run: bool = False,
) -> Reply:
    request = {"Name": prefix_list_name, "Max": max_entries, "Family": address_family, "Entries": entries, "Tags": tag_specifications}
    held = made_before(ctx, PrefixList, client_token, request)
    if held is None:
        if address_family not in ("IPv4", "IPv6"):
            raise AwsError("InvalidParameterValue", f"Value ({address_family}) for parameter AddressFamily is invalid.")
        if prefix_list_name.startswith("com.amazonaws"):
            raise AwsError("InvalidParameterValue", "Prefix list names may not begin with com.amazonaws.")
        if not 1 <= max_entries <= 1000:
            raise AwsError(
                "InvalidParameterValue", f"Value ({max_entries}) for parameter MaxEntries is invalid. Valid values are 1 to 1000."
            )
        found = checked_entries(address_family, entries or [])
        full(found, max_entries)
        tags = given_tags(ctx, tag_specifications, PrefixList)
        dry(dry_run)
        held = PrefixList(
            id=new_id(ctx, PrefixList),
            name=prefix_list_name,
            family=address_family,
            max_entries=max_entries,
            versions=[found],
            tags=tags,
            client_token=client_token or "",
            fingerprint=fingerprint(request),
        )
        ctx.tx.put(held)
    return {"PrefixList": list_shape(ctx, held) | {"State": "create-in-progress"}}


def full(entries: list[Prefix], most: int) -> None:
    if len(entries) > most:
        raise AwsError("InvalidPrefixListModification", f"The prefix list may have at most {most} entries.")


@writes(
    "ec2",
    "ModifyManagedPrefixList",
    authorize=on("ModifyManagedPrefixList", (PrefixList, "prefix_list_id")),
    acts="PrefixListId CurrentVersion PrefixListName AddEntries[].Cidr RemoveEntries[].Cidr MaxEntries DryRun",
    descriptive="AddEntries[].Description",
)
def modify_managed_prefix_list(
    ctx: Context,
    prefix_list_id: str,
    current_version: int | None = None,
    prefix_list_name: str | None = None,
    add_entries: list[dict[str, Any]] | None = None,
    remove_entries: list[dict[str, Any]] | None = None,
    max_entries: int | None = None,
    dry_run: bool = False,
) -> Reply:
    held = the(ctx, PrefixList, prefix_list_id)
    if current_version is not None and current_version != len(held.versions):
        raise AwsError("PrefixListVersionMismatch", "The prefix list has the incorrect version number.")
    if (add_entries or remove_entries) and current_version is None:
        raise AwsError("MissingParameter", "The request must contain the parameter CurrentVersion")
    going = {one.cidr for one in checked_entries(held.family, remove_entries or [])}
    added = {one.cidr: one for one in checked_entries(held.family, add_entries or [])}
    entries = held.versions[-1]
    if going - {one.cidr for one in entries}:
        raise AwsError("InvalidPrefixListModification", "The entry to remove does not exist in the prefix list.")
    left = [added.pop(one.cidr, one) for one in entries if one.cidr not in going] + list(added.values())
    full(left, max_entries or held.max_entries)
    dry(dry_run)
    held.name, held.max_entries, held.modified = prefix_list_name or held.name, max_entries or held.max_entries, True
    if add_entries or remove_entries:
        held.versions = [*held.versions, left]
    ctx.tx.put(held)
    told(ctx, held)
    return {"PrefixList": list_shape(ctx, held) | {"State": "modify-in-progress"}}


@writes(
    "ec2",
    "DeleteManagedPrefixList",
    authorize=on("DeleteManagedPrefixList", (PrefixList, "prefix_list_id")),
    acts="PrefixListId DryRun",
)
def delete_managed_prefix_list(ctx: Context, prefix_list_id: str, dry_run: bool = False) -> Reply:
    held = the(ctx, PrefixList, prefix_list_id)
    routed = any(route.prefix_list == held.id for table in every(ctx, RouteTable) for route in table.routes)
    if routed or any(rule.prefix_list == held.id for rule in every(ctx, SecurityGroupRule)):
        raise AwsError("DependencyViolation", f"The prefix list '{prefix_list_id}' has dependencies and cannot be deleted.")
    dry(dry_run)
    ctx.tx.delete(PrefixList, held.id)
    return {"PrefixList": list_shape(ctx, held) | {"State": "delete-in-progress"}}
