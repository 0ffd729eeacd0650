"""AWS::CDK::Metadata: what a CDK application says of the constructs that it is made of. It makes nothing, on AWS neither."""

from __future__ import annotations

from windtunnel.kernel.context import Context
from windtunnel.provision.registry import Created, Properties, Resource, ResourceType, Wanted, resource_type


@resource_type("AWS::CDK::Metadata")
class CdkMetadata(ResourceType):
    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        made = ctx.ids.uuid()
        return Created(id=made, attributes={"Id": made})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        return {**resource.properties, "Id": resource.id} if resource.properties else None

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        return True
