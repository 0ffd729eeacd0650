"""Errors on the wire: the HTTP status of a code, and how each protocol writes an error.

Invariant: code and status agree with the service's model; what no model knows (signatures, throttling, S3's codes) is in the tables here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import RULES
from windtunnel.wire.models import ServiceModel
from windtunnel.wire.protocols.base import ErrorEncoder, Header, Response
from windtunnel.wire.protocols.xmltext import escape, xml_fields

_COMMON = {
    "AccessDenied": 403,
    "AccessDeniedException": 400,
    "AuthFailure": 401,
    "ExpiredToken": 403,
    "ExpiredTokenException": 400,
    "IncompleteSignature": 400,
    "InternalError": 500,
    "InternalFailure": 500,
    "InternalServerError": 500,
    "InternalServiceError": 500,
    "InvalidClientTokenId": 403,
    "InvalidSignatureException": 400,
    "MissingAuthenticationToken": 403,
    "MissingAuthenticationTokenException": 400,
    "NotImplemented": 501,
    "OptInRequired": 403,
    "RequestExpired": 400,
    "RequestTimeTooSkewed": 403,
    "ServiceUnavailable": 503,
    "ServiceUnavailableException": 503,
    "SignatureDoesNotMatch": 403,
    "UnauthorizedOperation": 403,
    "UnrecognizedClientException": 400,
}
_FORBIDDEN = frozenset(
    (
        "AccessDeniedException",
        "ExpiredTokenException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    )
)
"""What the REST services answer with 403 where those of the other JSON protocols say 400."""
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; what is 400 there is left out.
_S3 = {
    "AccountProblem": 403,
    "AllAccessDisabled": 403,
    "BucketAlreadyExists": 409,
    "BucketAlreadyOwnedByYou": 409,
    "BucketNotEmpty": 409,
    "ConditionalRequestConflict": 409,
    "InvalidAccessKeyId": 403,
    "InvalidBucketState": 409,
    "InvalidObjectState": 403,
    "InvalidRange": 416,
    "MethodNotAllowed": 405,
    "MissingContentLength": 411,
    "NoSuchAccessPoint": 404,
    "NoSuchBucket": 404,
    "NoSuchBucketPolicy": 404,
    "NoSuchConfiguration": 404,
    "NoSuchCORSConfiguration": 404,
    "NoSuchKey": 404,
    "NoSuchLifecycleConfiguration": 404,
    "NoSuchObjectLockConfiguration": 404,
    "NoSuchPublicAccessBlockConfiguration": 404,
    "NoSuchTagSet": 404,
    "NoSuchUpload": 404,
    "NoSuchVersion": 404,
    "NoSuchWebsiteConfiguration": 404,
    "NotModified": 304,
    "ObjectLockConfigurationNotFoundError": 404,
    "OperationAborted": 409,
    "OwnershipControlsNotFoundError": 404,
    "PermanentRedirect": 301,
    "PreconditionFailed": 412,
    "ReplicationConfigurationNotFoundError": 404,
    "ServerSideEncryptionConfigurationNotFoundError": 404,
    "SlowDown": 503,
    "TemporaryRedirect": 307,
}


class ErrorTable:
    """What a model says of its errors, small enough to be kept: wire code -> (status, sender's fault)."""

    __slots__ = (
        "service",
        "xml_namespace",
        "query_codes",
        "_known",
        "query_compatible",
        "compatible_codes",
        "json_version",
        "_denied",
        "_names",
    )

    def __init__(self, model: ServiceModel) -> None:
        self.service = model.name
        self.xml_namespace = model.xml_namespace
        self.query_compatible = model.query_compatible
        rules = RULES.get(model.name)
        self.compatible_codes: Mapping[str, str] = rules.query_codes if rules is not None else {}
        self.json_version = model.json_version
        self._known: dict[str, int] = {}
        self.query_codes: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._denied = 403 if model.protocols[0] == "rest-json" else 400
        for name, shape in model.error_shapes():
            trait = shape.error
            status = (trait.http_status_code if trait else None) or (500 if shape.fault else 400)
            self._known[name] = status
            if trait and trait.code:
                self._known[trait.code] = status
                self.query_codes[name] = trait.code
                self._names[trait.code] = name

    def status(self, error: AwsError) -> int:
        if error.status is not None:
            return error.status
        code = error.code.rsplit("#", 1)[-1]
        if self.service == "s3" and code in _S3:
            return _S3[code]
        known = self._known.get(code)
        if known is None and self._denied == 403 and code in _FORBIDDEN:
            return 403
        return known or _COMMON.get(code, 400)

    def shape_name(self, code: str) -> str:
        """The shape of an error that a handler named as the query protocol does (`AWS.SimpleQueueService.NonExistentQueue`)."""
        return self._names.get(code, code)


def query_error(table: ErrorTable, code: str, status: int) -> Header:
    """The header by which a service that spoke the query protocol before tells its older code."""
    older = table.compatible_codes.get(code) or table.query_codes.get(code, code)
    return b"x-amzn-query-error", header_text(f"{older};{'Receiver' if status >= 500 else 'Sender'}")


def json_errors(table: ErrorTable) -> ErrorEncoder:
    content_type = f"application/x-amz-json-{table.json_version}".encode()

    def encode(error: AwsError, request_id: str, head: bool) -> Response:
        status = table.status(error)
        name = table.shape_name(error.code)
        fields: dict[str, Any] = {"__type": name}
        if error.message:
            # The framework's own errors are capitalised on AWS, the services' are not.
            fields["Message" if error.code == "SerializationException" else "message"] = error.message
        fields.update(error.extra)
        headers: list[Header] = [
            (b"x-amzn-requestid", request_id.encode()),
            (b"content-type", content_type),
            (b"x-amzn-errortype", header_text(name)),
        ]
        if table.query_compatible:
            headers.append(query_error(table, error.code, status))
        return status, headers, b"" if head else msgspec.json.encode(fields, enc_hook=str)

    return encode


def query_errors(table: ErrorTable) -> ErrorEncoder:
    namespace = f' xmlns="{escape(table.xml_namespace)}"' if table.xml_namespace else ""

    def encode(error: AwsError, request_id: str, head: bool) -> Response:
        status = table.status(error)
        code = table.query_codes.get(error.code, error.code)
        body = (
            f"<ErrorResponse{namespace}>\n  <Error>\n    <Type>{'Receiver' if status >= 500 else 'Sender'}</Type>\n"
            f"    <Code>{escape(code)}</Code>\n    <Message>{escape(error.message)}</Message>{xml_fields(error.extra)}\n"
            f"  </Error>\n  <RequestId>{request_id}</RequestId>\n</ErrorResponse>\n"
        )
        headers = [(b"x-amzn-requestid", request_id.encode()), (b"content-type", b"text/xml")]
        return status, headers, b"" if head else body.encode()

    return encode


def query_json_errors(table: ErrorTable) -> ErrorEncoder:
    """Of a query request that wants JSON."""

    def encode(error: AwsError, request_id: str, head: bool) -> Response:
        status = table.status(error)
        told = {
            "Type": "Receiver" if status >= 500 else "Sender",
            "Code": table.query_codes.get(error.code, error.code),
            "Message": error.message,
            **error.extra,
        }
        headers = [(b"x-amzn-requestid", request_id.encode()), (b"content-type", b"application/json")]
        return status, headers, b"" if head else msgspec.json.encode({"Error": told, "RequestId": request_id})

    return encode


def ec2_errors(table: ErrorTable) -> ErrorEncoder:
    def encode(error: AwsError, request_id: str, head: bool) -> Response:
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Response><Errors><Error><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
            f"{xml_fields(error.extra)}</Error></Errors><RequestID>{request_id}</RequestID></Response>"
        )
        headers = [(b"x-amzn-requestid", request_id.encode()), (b"content-type", b"text/xml;charset=UTF-8")]
        return table.status(error), headers, b"" if head else body.encode()

    return encode


def s3_errors(table: ErrorTable) -> ErrorEncoder:
    def encode(error: AwsError, request_id: str, head: bool) -> Response:
        status = table.status(error)
        host_id = f"windtunnel/{request_id}"
        headers: list[Header] = [(b"x-amz-request-id", request_id.encode()), (b"x-amz-id-2", host_id.encode())]
        headers += [(name.encode(), value.encode()) for name, value in error.headers.items()]
        if head or status == 304:
            return status, headers, b""
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>{xml_fields(error.extra)}"
            f"<RequestId>{request_id}</RequestId><HostId>{host_id}</HostId></Error>"
        )
        headers.append((b"content-type", b"application/xml"))
        return status, headers, body.encode()

    return encode


def rest_xml_errors(table: ErrorTable) -> ErrorEncoder:
    return s3_errors(table) if table.service == "s3" else query_errors(table)


def header_text(text: str) -> bytes:
    return "".join(char if " " <= char <= "~" else "?" for char in text).encode("ascii")
