"""AWS::IAM::ServerCertificate."""

from __future__ import annotations

from collections.abc import Iterable

from windtunnel.kernel.context import Context
from windtunnel.provision.handling import Direct, changed, shown_tags, without_none
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted, resource_type
from windtunnel.services.iam.resources.shared import MISSING, bring_tags, iam, iam_if_there, iam_list, tags


@resource_type("AWS::IAM::ServerCertificate")
class ServerCertificateType(Direct):
    service = "iam"
    calls = (
        "UploadServerCertificate GetServerCertificate UpdateServerCertificate DeleteServerCertificate TagServerCertificate "
        "UntagServerCertificate"
    )
    name = Name("ServerCertificateName", 128)
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        made = iam(
            ctx,
            "UploadServerCertificate",
            ServerCertificateName=wanted.name,
            Path=props.get("Path"),
            CertificateBody=props.get("CertificateBody"),
            CertificateChain=props.get("CertificateChain"),
            PrivateKey=props.get("PrivateKey"),
            Tags=tags(props),
        )["ServerCertificateMetadata"]
        return Created(id=wanted.name, attributes={"Arn": made["Arn"]})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        reply = iam_if_there(ctx, "GetServerCertificate", ServerCertificateName=resource.id)
        if reply is None:
            return None
        found = reply["ServerCertificate"]
        metadata = found["ServerCertificateMetadata"]
        return without_none(
            {
                "ServerCertificateName": metadata["ServerCertificateName"],
                "Path": metadata["Path"],
                "Tags": shown_tags(found.get("Tags")),
                "Arn": metadata["Arn"],
            }
        )

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        name, old, attributes = resource.id, resource.properties, dict(resource.attributes)
        if changed(old, new, "Path"):
            iam(ctx, "UpdateServerCertificate", ServerCertificateName=name, NewPath=new.get("Path", "/"))
            found = iam(ctx, "GetServerCertificate", ServerCertificateName=name)["ServerCertificate"]
            attributes["Arn"] = found["ServerCertificateMetadata"]["Arn"]
        bring_tags(ctx, "ServerCertificate", "ServerCertificateName", name, old, new)
        return Created(id=name, attributes=attributes)

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        iam(ctx, "DeleteServerCertificate", ServerCertificateName=resource.id)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        found = iam_list(ctx, "ListServerCertificates", "ServerCertificateMetadataList")
        return (each["ServerCertificateName"] for each in found)
