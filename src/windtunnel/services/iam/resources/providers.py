"""AWS::IAM::OIDCProvider and AWS::IAM::SAMLProvider."""

from __future__ import annotations

from collections.abc import Iterable

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import not_built
from windtunnel.provision.handling import Direct, changed, set_changes, shown_tags, without_none
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted, resource_type
from windtunnel.services.iam.resources.shared import MISSING, bring_tags, iam, iam_if_there, tags


@resource_type("AWS::IAM::OIDCProvider")
class OIDCProviderType(Direct):
    service = "iam"
    calls = (
        "CreateOpenIDConnectProvider DeleteOpenIDConnectProvider AddClientIDToOpenIDConnectProvider "
        "RemoveClientIDFromOpenIDConnectProvider UpdateOpenIDConnectProviderThumbprint TagOpenIDConnectProvider "
        "UntagOpenIDConnectProvider"
    )
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        arn = iam(
            ctx,
            "CreateOpenIDConnectProvider",
            Url=props.get("Url"),
            ClientIDList=props.get("ClientIdList"),
            ThumbprintList=props.get("ThumbprintList"),
            Tags=tags(props),
        )["OpenIDConnectProviderArn"]
        return Created(id=arn, attributes={"Arn": arn})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        found = iam_if_there(ctx, "GetOpenIDConnectProvider", OpenIDConnectProviderArn=resource.id)
        if found is None:
            return None
        given = str(resource.properties.get("Url", ""))
        return without_none(
            {
                "Url": given if given.partition("://")[2].rstrip("/") == found["Url"] else f"https://{found['Url']}",
                "ClientIdList": found["ClientIDList"],
                "ThumbprintList": found["ThumbprintList"],
                "Tags": shown_tags(found.get("Tags")),
                "Arn": resource.id,
            }
        )

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        arn, old = resource.id, resource.properties
        came, went = set_changes(old.get("ClientIdList"), new.get("ClientIdList"))
        for client in went:
            iam(ctx, "RemoveClientIDFromOpenIDConnectProvider", OpenIDConnectProviderArn=arn, ClientID=client)
        for client in came:
            iam(ctx, "AddClientIDToOpenIDConnectProvider", OpenIDConnectProviderArn=arn, ClientID=client)
        if changed(old, new, "ThumbprintList"):
            thumbprints = new.get("ThumbprintList") or []
            iam(ctx, "UpdateOpenIDConnectProviderThumbprint", OpenIDConnectProviderArn=arn, ThumbprintList=thumbprints)
        bring_tags(ctx, "OpenIDConnectProvider", "OpenIDConnectProviderArn", arn, old, new)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        iam(ctx, "DeleteOpenIDConnectProvider", OpenIDConnectProviderArn=resource.id)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return (found["Arn"] for found in iam(ctx, "ListOpenIDConnectProviders")["OpenIDConnectProviderList"])


@resource_type("AWS::IAM::SAMLProvider")
class SAMLProviderType(Direct):
    service = "iam"
    calls = "CreateSAMLProvider GetSAMLProvider UpdateSAMLProvider DeleteSAMLProvider TagSAMLProvider UntagSAMLProvider"
    name = Name("Name", 128)
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        if "PrivateKeyList" in props:
            raise not_built("iam", "CreateSAMLProvider", "PrivateKeyList")
        arn = iam(
            ctx,
            "CreateSAMLProvider",
            Name=wanted.name,
            SAMLMetadataDocument=props.get("SamlMetadataDocument"),
            AssertionEncryptionMode=props.get("AssertionEncryptionMode"),
            AddPrivateKey=props.get("AddPrivateKey"),
            Tags=tags(props),
        )["SAMLProviderArn"]
        found = iam(ctx, "GetSAMLProvider", SAMLProviderArn=arn)
        return Created(id=arn, attributes={"Arn": arn, "SamlProviderUUID": found["SAMLProviderUUID"]})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        found = iam_if_there(ctx, "GetSAMLProvider", SAMLProviderArn=resource.id)
        if found is None:
            return None
        return without_none(
            {
                "Name": resource.id.rpartition("/")[2],
                "SamlMetadataDocument": found["SAMLMetadataDocument"],
                "SamlProviderUUID": found["SAMLProviderUUID"],
                "Tags": shown_tags(found.get("Tags")),
                "Arn": resource.id,
            }
        )

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        arn, old = resource.id, resource.properties
        if changed(old, new, "SamlMetadataDocument", "AssertionEncryptionMode", "PrivateKeyList"):
            if "PrivateKeyList" in new:
                raise not_built("iam", "UpdateSAMLProvider", "PrivateKeyList")
            iam(
                ctx,
                "UpdateSAMLProvider",
                SAMLProviderArn=arn,
                SAMLMetadataDocument=new.get("SamlMetadataDocument"),
                AssertionEncryptionMode=new.get("AssertionEncryptionMode"),
            )
        bring_tags(ctx, "SAMLProvider", "SAMLProviderArn", arn, old, new)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        iam(ctx, "DeleteSAMLProvider", SAMLProviderArn=resource.id)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return (found["Arn"] for found in iam(ctx, "ListSAMLProviders")["SAMLProviderList"])
