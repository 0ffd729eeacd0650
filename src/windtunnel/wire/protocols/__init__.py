"""One codec per AWS protocol, compiled from the service model into closures.

Invariant: the closures hold no model; once they are compiled the model can go. A protocol is one entry in each table here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import Declared, ServiceRules
from windtunnel.kernel.typed import decoder
from windtunnel.wire.members import Node, declared_tree
from windtunnel.wire.models import OperationModel, ServiceModel
from windtunnel.wire.naming import xform
from windtunnel.wire.protocols import errors, jsonrpc, query, restjson, restxml, restxml_output, rpccbor
from windtunnel.wire.protocols.base import Decoder, Encoder, ErrorEncoder, RawRequest, Response, UnknownResultMember, parse_query
from windtunnel.wire.protocols.errors import ErrorTable
from windtunnel.wire.protocols.errorshapes import rest_json_errors
from windtunnel.wire.protocols.validation import Validator, reporter

__all__ = [
    "Decoder",
    "Encoder",
    "ErrorEncoder",
    "RawRequest",
    "Response",
    "UnknownResultMember",
    "compile_decoder",
    "compile_encoder",
    "compile_error_encoder",
    "encode_error",
    "parse_query",
    "protocol_of",
]

Reader = Callable[[RawRequest], dict[str, Any]]
READERS: dict[str, Callable[[OperationModel, Node], Reader]] = {
    "json": jsonrpc.compile_reader,
    "query": query.compile_query_reader,
    "query-json": query.compile_query_json_reader,
    "ec2": query.compile_ec2_reader,
    "rest-json": restjson.compile_reader,
    "rest-xml": restxml.compile_reader,
    "smithy-rpc-v2-cbor": rpccbor.compile_reader,
}
WRITERS: dict[str, Callable[[OperationModel, bool], Encoder]] = {
    "json": jsonrpc.compile_encoder,
    "query": query.compile_query_encoder,
    "query-json": jsonrpc.compile_query_encoder,
    "ec2": query.compile_ec2_encoder,
    "rest-json": restjson.compile_encoder,
    "rest-xml": restxml_output.compile_encoder,
    "smithy-rpc-v2-cbor": rpccbor.compile_encoder,
}
ERROR_ENCODERS: dict[str, Callable[[ErrorTable, ServiceModel], ErrorEncoder]] = {
    "json": lambda table, _: errors.json_errors(table),
    "query": lambda table, _: errors.query_errors(table),
    "query-json": lambda table, _: errors.query_json_errors(table),
    "ec2": lambda table, _: errors.ec2_errors(table),
    "rest-json": rest_json_errors,
    "rest-xml": lambda table, _: errors.rest_xml_errors(table),
    "smithy-rpc-v2-cbor": rpccbor.cbor_errors,
}
_DEFAULT_RULES = ServiceRules()


def protocol_of(service: ServiceModel) -> str:
    """The first of the service's protocols that has a codec. Raises AwsError (501) when none has."""
    for protocol in service.protocols:
        if protocol in READERS:
            return protocol
    raise not_built(service.name, "*", f"the protocol {'/'.join(service.protocols)}")


def compile_decoder(
    service: ServiceModel,
    op: str,
    declared: Declared | None = None,
    rules: ServiceRules | None = None,
    protocol: str | None = None,
    quick: type[msgspec.Struct] | None = None,
) -> Decoder:
    """request -> top-level members as snake_case arguments, nested data by the model's names (`quick`: see kernel.registry.Operation).

    Checks types, declared members and constraints, in this order. declared=None: every member of the model is accepted.
    """
    protocol = protocol or protocol_of(service)
    operation = service.operation(op)
    read = READERS[protocol](operation, declared_tree(declared))
    check = Validator(service).input(operation)
    report = reporter(operation, rules or _DEFAULT_RULES, protocol)
    names = {name: xform(name) for name in operation.input_shape.members}

    def decode(request: RawRequest) -> dict[str, Any]:
        value = read(request)
        if check is not None:
            found: list[Any] = []
            check(value, None, found)
            if found:
                report(found)
        return {names[name]: item for name, item in value.items()}

    return decode if quick is None or protocol != "json" else _quickly(quick, decode)


def _quickly(quick: type[msgspec.Struct], otherwise: Decoder) -> Decoder:
    take = decoder(quick).decode
    fields = quick.__struct_fields__

    def decode(request: RawRequest) -> dict[str, Any]:
        try:
            value = take(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return otherwise(request)
        return {name: getattr(value, name) for name in fields}

    return decode


def compile_encoder(service: ServiceModel, op: str, protocol: str | None = None, *, strict: bool = False) -> Encoder:
    """(result, request id) -> (status, headers, body). strict: members or types that the output shape does not have raise."""
    return WRITERS[protocol or protocol_of(service)](service.operation(op), strict)


def compile_error_encoder(service: ServiceModel, protocol: str | None = None) -> ErrorEncoder:
    """(AwsError, request id, HEAD?) -> (status, headers, body)."""
    return ERROR_ENCODERS[protocol or protocol_of(service)](ErrorTable(service), service)


_error_encoders: dict[tuple[str, str], ErrorEncoder] = {}


def encode_error(service: ServiceModel, protocol: str, error: AwsError, request_id: str, head: bool = False) -> Response:
    """An error as the protocol writes it; the table of a service's errors is made once and kept."""
    key = (service.name, protocol)
    encoder = _error_encoders.get(key)
    if encoder is None:
        encoder = _error_encoders[key] = compile_error_encoder(service, protocol)
    return encoder(error, request_id, head)
