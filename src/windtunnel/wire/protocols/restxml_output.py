"""REST-XML, S3's protocol: responses. Headers, a status code and a payload out of one result.

Invariant: a streaming payload is left to whoever streams it (the body is empty here); an operation whose output has no member in
the body answers without a body.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from windtunnel.wire.models import OperationModel, Ref, ServiceModel, Shape
from windtunnel.wire.protocols.base import Header, Response, UnknownResultMember
from windtunnel.wire.protocols.headings import compile_headings
from windtunnel.wire.protocols.xmltext import escape
from windtunnel.wire.protocols.xmlwriter import XmlWriter, namespace_of

_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_S3_NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
# The names of S3's root elements, which botocore's model does not keep (the API reference's response syntax has them).
_S3_ROOTS = {
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
    "CopyObject": "CopyObjectResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "CreateSession": "CreateSessionResult",
    "DeleteObjects": "DeleteResult",
    "GetBucketAccelerateConfiguration": "AccelerateConfiguration",
    "GetBucketAcl": "AccessControlPolicy",
    "GetBucketCors": "CORSConfiguration",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "GetBucketLogging": "BucketLoggingStatus",
    "GetBucketNotificationConfiguration": "NotificationConfiguration",
    "GetBucketRequestPayment": "RequestPaymentConfiguration",
    "GetBucketTagging": "Tagging",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketWebsite": "WebsiteConfiguration",
    "GetObjectAcl": "AccessControlPolicy",
    "GetObjectAttributes": "GetObjectAttributesResponse",
    "GetObjectTagging": "Tagging",
    "ListBuckets": "ListAllMyBucketsResult",
    "ListDirectoryBuckets": "ListAllMyDirectoryBucketsResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListParts": "ListPartsResult",
    "UploadPartCopy": "CopyPartResult",
}

Body = Callable[[dict[str, Any]], "str | bytes | None"]


def compile_encoder(operation: OperationModel, strict: bool) -> Callable[[dict[str, Any], str], Response]:
    shape = operation.output_shape
    service = operation.service
    s3 = service.name == "s3"
    headings = compile_headings(service, shape, operation.name, strict)
    status_member = next((name for name, ref in shape.members.items() if ref.location == "statusCode"), None)
    body_of = _location_constraint if s3 and operation.name == "GetBucketLocation" else _body(operation, strict, s3)
    status = operation.http_status
    content_type = (b"content-type", b"application/xml")
    id_header = b"x-amz-request-id" if s3 else b"x-amzn-requestid"
    known = frozenset(shape.members)
    plain = bool(not s3 and shape.payload and service.shape(shape.members[shape.payload].shape).type == "string")

    def encode(result: dict[str, Any], request_id: str) -> Response:
        headers: list[Header] = [(id_header, request_id.encode())]
        if strict and not known.issuperset(result):
            raise UnknownResultMember(f"{operation_name}: {', '.join(sorted(result.keys() - known))}")
        for name, value in result.items():
            heading = headings.get(name)
            if heading is not None and value is not None:
                heading(value, headers)
        body = body_of(result) if body_of is not None else None
        code = result.get(status_member) or status if status_member else status
        if "ContentRange" in result:
            code = 206
        if body is None:
            return code, headers, b""
        if isinstance(body, str):
            headers.append(content_type)
            return code, headers, body.encode()
        if plain and body:
            headers.append((b"content-type", b"text/plain"))
        return code, headers, body

    operation_name = operation.name
    return encode


def _body(operation: OperationModel, strict: bool, s3: bool) -> Body | None:
    shape = operation.output_shape
    if shape.payload:
        if operation.streaming_output:
            return None
        ref = shape.members[shape.payload]
        target = operation.service.shape(ref.shape)
        if target.eventstream:
            return None
        if target.type != "structure":
            return _raw_payload(shape.payload)
        root = _S3_ROOTS.get(operation.name) if s3 else None
        return _payload_structure(operation, shape.payload, ref, target, root, strict, s3)
    in_body = frozenset(name for name, ref in shape.members.items() if ref.location not in ("header", "headers", "statusCode"))
    if not in_body:
        return None
    root = (_S3_ROOTS.get(operation.name) if s3 else None) or shape.location_name or operation.output or operation.name
    namespace = _S3_NAMESPACE if s3 else namespace_of(Ref(shape=""), shape) or _service_namespace(operation.service)
    write = XmlWriter(operation, strict, millis=s3).structure(f"{root}{namespace}", root, shape, operation.name, only=in_body)

    def body(result: dict[str, Any]) -> str:
        out = [_XML]
        write(result, out)
        return "".join(out)

    return body


def _service_namespace(service: ServiceModel) -> str:
    return f' xmlns="{escape(service.xml_namespace)}"' if service.xml_namespace else ""


def _payload_structure(operation: OperationModel, name: str, ref: Ref, shape: Shape, root: str | None, strict: bool, s3: bool) -> Body:
    named = ref.location_name if ref.location_name != name else None
    element = root or named or shape.location_name or ref.shape
    if s3:
        ref = Ref(shape=ref.shape, xml_namespace=ref.xml_namespace or "http://s3.amazonaws.com/doc/2006-03-01/")
    write = XmlWriter(operation, strict, millis=s3).element(element, ref, f"{operation.name}.{name}")

    def body(result: dict[str, Any]) -> str | None:
        value = result.get(name)
        if value is None:
            return None
        out = [_XML]
        write(value, out)
        return "".join(out)

    return body


def _raw_payload(name: str) -> Body:
    def body(result: dict[str, Any]) -> bytes | None:
        value = result.get(name)
        return value.encode() if isinstance(value, str) else value

    return body


def _location_constraint(result: dict[str, Any]) -> str:
    """GetBucketLocation's root is the value itself; us-east-1 is written as nothing."""
    value = result.get("LocationConstraint")
    if not value:
        return f"{_XML}<LocationConstraint{_S3_NAMESPACE}/>"
    return f"{_XML}<LocationConstraint{_S3_NAMESPACE}>{escape(value)}</LocationConstraint>"
