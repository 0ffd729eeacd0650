"""What is configured on a bucket, part by part: each property with the operations that put, tell and remove it.

Invariant: a part whose property is not given is left alone at creation; a property that is given no more is removed, or set back to what a new
bucket has. A part for which there is no operation here is refused by that operation's name (501).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.provision.calling import perform
from windtunnel.provision.handling import attempt, keyed_changes, listed
from windtunnel.provision.registry import Properties
from windtunnel.services.s3.resources import forms

Convert = Callable[[Any], Any]


def s3(ctx: Context, operation: str, **members: Any) -> Reply:
    return perform(ctx, "s3", operation, **members)


class Part(msgspec.Struct, frozen=True):
    """One configuration.

    put: what the operation takes beside the bucket, from the property. found: the configuration in the reply of `get`, None for none.
    missing: the code of `get` when there is none. remove: the operation that takes it away; or `reset`: the property's value to put instead.
    """

    property: str
    operation: str
    put: Convert
    get: str = ""
    found: Convert = lambda reply: None
    shown: Convert = lambda body: body
    missing: str = ""
    remove: str = ""
    reset: Any = None

    def calls(self) -> str:
        return f"{self.operation} {self.remove}"

    def bring(self, ctx: Context, bucket: str, old: Properties, new: Properties) -> None:
        value = new.get(self.property)
        if value == old.get(self.property):
            return
        if value is None and self.remove:
            s3(ctx, self.remove, Bucket=bucket)
        else:
            s3(ctx, self.operation, Bucket=bucket, **self.put(self.reset if value is None else value))

    def read(self, ctx: Context, bucket: str, given: Any) -> Any:
        """The live property, as it was given where that is what lives; None for none."""
        reply = attempt(ctx, (self.missing,), "s3", self.get, Bucket=bucket) if self.get else None
        live = None if reply is None else self.found(reply)
        if not live:
            return None
        if given is not None and forms.holds(live, _only(self.put(given))):
            return given
        return self.shown(live)


def _only(members: dict[str, Any]) -> Any:
    """The configuration itself among the members of a put."""
    return next(iter(members.values()))


def _whole(member: str, convert: Convert = lambda value: value) -> Convert:
    return lambda value: {member: convert(value)}


def _lifecycle(value: dict[str, Any]) -> dict[str, Any]:
    left = dict(value)
    size = left.pop("TransitionDefaultMinimumObjectSize", None)
    rules = [forms.lifecycle_rule(rule) for rule in left.pop("Rules", ())]
    return {"LifecycleConfiguration": {"Rules": rules, **left}} | ({} if size is None else {"TransitionDefaultMinimumObjectSize": size})


def _logging(value: dict[str, Any] | None) -> dict[str, Any]:
    if value is None:
        return {"BucketLoggingStatus": {}}
    body = forms.to_api(value, {"DestinationBucketName": "TargetBucket", "LogFilePrefix": "TargetPrefix"})
    return {"BucketLoggingStatus": {"LoggingEnabled": {"TargetPrefix": "", **body}}}


def _logged(body: dict[str, Any]) -> dict[str, Any]:
    value: dict[str, Any] = forms.from_api(
        body["LoggingEnabled"], {"DestinationBucketName": "TargetBucket", "LogFilePrefix": "TargetPrefix"}
    )
    return {name: item for name, item in value.items() if item != ""}


PARTS = (
    Part(
        "PublicAccessBlockConfiguration",
        "PutPublicAccessBlock",
        _whole("PublicAccessBlockConfiguration"),
        get="GetPublicAccessBlock",
        found=lambda reply: reply["PublicAccessBlockConfiguration"],
        missing="NoSuchPublicAccessBlockConfiguration",
        remove="DeletePublicAccessBlock",
    ),
    Part(
        "OwnershipControls",
        "PutBucketOwnershipControls",
        _whole("OwnershipControls"),
        get="GetBucketOwnershipControls",
        found=lambda reply: reply["OwnershipControls"],
        missing="OwnershipControlsNotFoundError",
        remove="DeleteBucketOwnershipControls",
    ),
    Part(
        "VersioningConfiguration",
        "PutBucketVersioning",
        _whole("VersioningConfiguration"),
        get="GetBucketVersioning",
        found=lambda reply: reply,
        reset={"Status": "Suspended"},
    ),
    Part(
        "BucketEncryption",
        "PutBucketEncryption",
        _whole("ServerSideEncryptionConfiguration", lambda value: forms.to_api(value, forms.ENCRYPTION)),
        get="GetBucketEncryption",
        found=lambda reply: reply["ServerSideEncryptionConfiguration"],
        shown=lambda body: forms.from_api(body, forms.ENCRYPTION),
        remove="DeleteBucketEncryption",
    ),
    Part(
        "ObjectLockConfiguration",
        "PutObjectLockConfiguration",
        _whole("ObjectLockConfiguration", lambda value: {"ObjectLockEnabled": "Enabled", **value}),
        get="GetObjectLockConfiguration",
        found=lambda reply: reply["ObjectLockConfiguration"],
        missing="ObjectLockConfigurationNotFoundError",
        reset={},
    ),
    Part(
        "CorsConfiguration",
        "PutBucketCors",
        _whole("CORSConfiguration", lambda value: forms.to_api(value, forms.CORS)),
        get="GetBucketCors",
        found=lambda reply: reply,
        shown=lambda body: forms.from_api(body, forms.CORS),
        missing="NoSuchCORSConfiguration",
        remove="DeleteBucketCors",
    ),
    Part(
        "LifecycleConfiguration",
        "PutBucketLifecycleConfiguration",
        _lifecycle,
        get="GetBucketLifecycleConfiguration",
        found=lambda reply: reply,
        shown=lambda body: {**body, "Rules": [forms.from_lifecycle_rule(rule) for rule in body["Rules"]]},
        missing="NoSuchLifecycleConfiguration",
        remove="DeleteBucketLifecycle",
    ),
    Part(
        "WebsiteConfiguration",
        "PutBucketWebsite",
        _whole("WebsiteConfiguration", forms.website),
        get="GetBucketWebsite",
        found=lambda reply: reply,
        shown=forms.from_website,
        missing="NoSuchWebsiteConfiguration",
        remove="DeleteBucketWebsite",
    ),
    Part(
        "LoggingConfiguration", "PutBucketLogging", _logging, get="GetBucketLogging", found=lambda reply: reply, shown=_logged, reset=None
    ),
    Part(
        "AccelerateConfiguration",
        "PutBucketAccelerateConfiguration",
        _whole("AccelerateConfiguration", lambda value: forms.to_api(value, {"AccelerationStatus": "Status"})),
        get="GetBucketAccelerateConfiguration",
        found=lambda reply: reply,
        shown=lambda body: forms.from_api(body, {"AccelerationStatus": "Status"}),
        reset={"AccelerationStatus": "Suspended"},
    ),
    Part(
        "NotificationConfiguration",
        "PutBucketNotificationConfiguration",
        _whole("NotificationConfiguration", forms.notification),
        get="GetBucketNotificationConfiguration",
        found=lambda reply: reply,
        shown=forms.from_notification,
        reset={},
    ),
    # There is no operation for these yet: it refuses, by its name.
    Part("ReplicationConfiguration", "PutBucketReplication", _whole("ReplicationConfiguration"), remove="DeleteBucketReplication"),
    Part("MetadataConfiguration", "CreateBucketMetadataConfiguration", _whole("MetadataConfiguration")),
    Part("MetadataTableConfiguration", "CreateBucketMetadataTableConfiguration", _whole("MetadataTableConfiguration")),
    Part("AbacStatus", "PutBucketAbac", _whole("AbacStatus", lambda value: {"Status": value})),
)


class Reports(msgspec.Struct, frozen=True):
    """Configurations of which a bucket has several, by id. name: as in the operations' names."""

    property: str
    name: str
    put: Convert
    shown: Convert

    def calls(self) -> str:
        return f"PutBucket{self.name}Configuration DeleteBucket{self.name}Configuration"

    def bring(self, ctx: Context, bucket: str, old: Properties, new: Properties) -> None:
        put, gone = keyed_changes(old.get(self.property), new.get(self.property), lambda item: str(item["Id"]))
        for identifier in gone:
            attempt(ctx, ("NoSuchConfiguration",), "s3", f"DeleteBucket{self.name}Configuration", Bucket=bucket, Id=identifier)
        for item in put:
            members = {f"{self.name}Configuration": self.put(item)}
            s3(ctx, f"PutBucket{self.name}Configuration", Bucket=bucket, Id=item["Id"], **members)

    def read(self, ctx: Context, bucket: str, given: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
        told = {item["Id"]: item for item in given or ()}
        found = list(self._live(ctx, bucket))
        return [
            told[body["Id"]] if body["Id"] in told and forms.holds(body, self.put(told[body["Id"]])) else self.shown(body) for body in found
        ] or None

    def _live(self, ctx: Context, bucket: str) -> Iterator[dict[str, Any]]:
        token = ("NextContinuationToken", "ContinuationToken")
        return listed(ctx, "s3", f"ListBucket{self.name}Configurations", f"{self.name}ConfigurationList", token, Bucket=bucket)


REPORTS = (
    Reports("InventoryConfigurations", "Inventory", forms.inventory, forms.from_inventory),
    Reports("MetricsConfigurations", "Metrics", forms.metrics, forms.from_metrics),
    Reports("AnalyticsConfigurations", "Analytics", forms.analytics, forms.from_analytics),
    Reports("IntelligentTieringConfigurations", "IntelligentTiering", forms.metrics, forms.from_metrics),
)
