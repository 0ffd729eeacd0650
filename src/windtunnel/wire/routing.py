"""Which service and operation a request is for, from its target header, its Action, or its method, path and query.

Invariant: a request is never taken for another operation: what the models know and this house does not run is a 501 that names
it, what the models do not know is AWS's own refusal. Tables are built once; a model is only read for REST services and refusals.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from typing import NamedTuple
from urllib.parse import unquote, unquote_to_bytes

from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.wire.hosts import bucket_of_host
from windtunnel.wire.models import UnknownService, load_metadata, load_service, service_names
from windtunnel.wire.protocols.base import parse_query
from windtunnel.wire.resttable import RestTable

Registered = Mapping[str, Container[str]]
"""service (botocore's directory name) -> the operations that are built"""


class Route(NamedTuple):
    """path_params: decoded, by the template's names (`Bucket`, `Key`)."""

    service: str
    operation: str
    path_params: dict[str, str]
    protocol: str


_ACTION = re.compile(rb"(?:^|&)Action=([^&]*)")
_VERSION = re.compile(rb"(?:^|&)Version=([^&]*)")
_AS_JSON = b"ContentType=JSON"
_asks_for_json = re.compile(rb"(?:^|&)ContentType=JSON(?:&|$)").search
"""Of a query request: AWS's own helper scripts, and old clients, want the answer as JSON."""
_SCOPE = re.compile(r"Credential=[^,\s]*?/\d{8}/[^/,\s]+/([^/,\s]+)/aws4_request")
_RPC_PATH = re.compile(r"/service/([^/]+)/operation/([^/]+)\Z")
_NO_PARAMS: dict[str, str] = {}
_NO_QUERY: list[tuple[str, str]] = []


class Router:
    """Routes requests to the registered services. Build one when all services have registered."""

    def __init__(self, registered: Registered) -> None:
        self.registered = registered
        self.signing_names: dict[str, str] = {}
        """service -> the name that its callers sign for"""
        self._targets: dict[str, str] = {}
        self._by_signing: dict[str, list[str]] = {}
        self._protocols: dict[str, tuple[str, ...]] = {}
        self._versions: dict[tuple[str, str], str] = {}
        self._known: dict[str, Route] = {}
        self._rest_services: dict[str, list[tuple[str, str]]] = {}
        self._rest: dict[str, RestTable] = {}
        for name in registered:
            meta = load_metadata(name)
            self._protocols[name] = tuple(meta.protocols)
            self._by_signing.setdefault(meta.signing_name, []).append(name)
            self.signing_names[name] = meta.signing_name
            for protocol in meta.protocols:
                if protocol.startswith("rest-"):
                    self._rest_services.setdefault(meta.signing_name, []).append((name, protocol))
            if meta.target_prefix:
                self._targets[meta.target_prefix] = name
                # The Smithy clients (Go, Rust, Terraform) leave the package out: `CloudTrail_20131101.CreateTrail`.
                self._targets.setdefault(meta.target_prefix.rpartition(".")[2], name)
            if "query" in meta.protocols or "ec2" in meta.protocols:
                self._versions[meta.signing_name, meta.api_version] = name

    def route(
        self,
        method: str,
        host: str,
        raw_path: str,
        raw_query: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        signing_service: str | None = None,
    ) -> Route:
        """Raises AwsError: UnknownOperationException, InvalidAction, MethodNotAllowed, or a 501 that names what is not built.

        headers: lower-case names. body: the form of a query request. signing_service: the credential scope's service when the caller
        has read it already; otherwise it is read from the headers or the query string.
        """
        target = headers.get("x-amz-target")
        if target is not None:
            return self._known.get(target) or self._by_target(target)
        if "smithy-protocol" in headers:
            return self._by_rpc(method, raw_path)
        service = signing_service or scope_service(headers, raw_query)
        content_type = headers.get("content-type", "")
        rest = service == "s3" or service in self._rest_services
        if not rest and (content_type.startswith("application/x-www-form-urlencoded") or "Action=" in raw_query):
            return self._by_action(service, raw_query, body)
        return self._by_rest(service, method, host, raw_path, raw_query, headers)

    def _by_target(self, target: str) -> Route:
        prefix, _, operation = target.rpartition(".")
        service = self._targets.get(prefix)
        if service is None:
            service = self._target_elsewhere(prefix)
            raise not_built(service, operation[:128])
        if operation not in self.registered[service]:
            if load_service(service).has_operation(operation):
                raise not_built(service, operation)
            raise AwsError("UnknownOperationException", status=400)
        route = self._known[target] = Route(service, operation, _NO_PARAMS, "json")
        return route

    def _target_elsewhere(self, prefix: str) -> str:
        """The name of the unregistered service behind a target prefix. Raises UnknownOperationException when there is none."""
        for name in service_names() if prefix else ():
            if load_metadata(name).target_prefix == prefix:
                return name
        raise AwsError("UnknownOperationException", status=400)

    def _by_rpc(self, method: str, raw_path: str) -> Route:
        """The newest protocol: `/service/<target prefix>/operation/<name>`."""
        found = _RPC_PATH.search(raw_path)
        if found is None or method != "POST":
            raise AwsError("UnknownOperationException", status=404)
        prefix, operation = unquote(found[1]), unquote(found[2])[:128]
        service = self._targets.get(prefix)
        if service is None:
            raise not_built(self._target_elsewhere(prefix), operation)
        if "smithy-rpc-v2-cbor" not in self._protocols[service] or not load_service(service).has_operation(operation):
            raise AwsError("UnknownOperationException", status=404)
        if operation not in self.registered[service]:
            raise not_built(service, operation)
        return Route(service, operation, _NO_PARAMS, "smithy-rpc-v2-cbor")

    def _by_action(self, service: str | None, raw_query: str, body: bytes) -> Route:
        source = body if _ACTION.search(body) else raw_query.encode()
        action, version = _ACTION.search(source), _VERSION.search(source) or _VERSION.search(raw_query.encode())
        if action is None:
            raise AwsError("MissingAction", "The request must contain the parameter Action", status=400)
        operation = unquote_to_bytes(action[1]).decode("utf-8", "replace")[:128]
        named = unquote_to_bytes(version[1]).decode("utf-8", "replace")[:32] if version else ""
        found = self._query_service(service, operation, named)
        protocol = "ec2" if "ec2" in self._protocols[found] else "query"
        if operation not in self.registered[found]:
            if load_service(found).has_operation(operation):
                raise not_built(found, operation)
            if protocol == "ec2":
                raise AwsError("InvalidAction", f"The action {operation} is not valid for this web service.", status=400)
            raise AwsError(
                "InvalidAction", f"Could not find operation {operation} for version {named or 'NO_VERSION_SPECIFIED'}", status=400
            )
        if protocol == "query" and _AS_JSON in source and _asks_for_json(source):
            protocol = "query-json"
        return Route(found, operation, _NO_PARAMS, protocol)

    def _query_service(self, service: str | None, operation: str, version: str) -> str:
        if service is None:
            candidates = [name for (_, api_version), name in self._versions.items() if api_version == version or not version]
        else:
            exact = self._versions.get((service, version))
            candidates = [exact] if exact else [name for (signing, _), name in self._versions.items() if signing == service]
        built = [name for name in candidates if operation in self.registered[name]]
        if built or candidates:
            return (built or candidates)[0]
        raise not_built(self._named(service) if service else "the service of version " + version, operation)

    def _by_rest(self, service: str | None, method: str, host: str, raw_path: str, raw_query: str, headers: Mapping[str, str]) -> Route:
        rest = self._rest_services.get(service or "s3", ())
        if len(rest) > 1 and "x-amz-account-id" in headers:
            # S3 Control is signed for as S3 is; only its requests name an account in a header.
            rest = sorted(rest, key=lambda found: found[0] == "s3")
        if not rest:
            names = self._by_signing.get(service or "s3", [])
            if service is None:
                raise AwsError("MissingAuthenticationToken", "Request is missing Authentication Token", status=403)
            if names:
                raise AwsError("UnknownOperationException", status=404)
            raise not_built(self._named(service), f"{method} {unquote(raw_path)[:128]}")
        for name, protocol in rest:
            bucket = bucket_of_host(host) if name == "s3" else None
            path = f"/{bucket}{raw_path}" if bucket else raw_path
            found = self._table(name).match(method, path, parse_query(raw_query) if raw_query else _NO_QUERY, headers)
            if found is not None:
                operation, params = found
                if operation not in self.registered[name]:
                    raise not_built(name, operation)
                return Route(name, operation, params, protocol)
        if rest[0][0] == "s3":
            extra = {"Method": method, "ResourceType": "OBJECT" if raw_path.strip("/").count("/") else "BUCKET"}
            raise AwsError("MethodNotAllowed", "The specified method is not allowed against this resource.", status=405, extra=extra)
        raise AwsError("UnknownOperationException", status=404)

    def rest_json_of(self, signing_name: str | None) -> str | None:
        """The service in whose rest-json words an error goes to callers that sign for this name."""
        return next((name for name, protocol in self._rest_services.get(signing_name or "", ()) if protocol == "rest-json"), None)

    def _table(self, name: str) -> RestTable:
        table = self._rest.get(name)
        if table is None:
            table = self._rest[name] = RestTable(load_service(name))
        return table

    def _named(self, signing_name: str) -> str:
        """botocore's name for a signing name, as good as it can be told."""
        try:
            load_metadata(signing_name)
        except UnknownService:
            for name in service_names():
                if load_metadata(name).signing_name == signing_name:
                    return name
        return signing_name[:64]


def scope_service(headers: Mapping[str, str], raw_query: str) -> str | None:
    """The service in the credential scope of a signed or presigned request."""
    authorization = headers.get("authorization")
    if authorization is None:
        if "X-Amz-Credential=" not in raw_query:
            return None
        authorization = unquote(raw_query)
    found = _SCOPE.search(authorization)
    return found[1] if found else None


def action_of(body: bytes) -> str | None:
    """The Action of a query request's form, for logs and errors."""
    found = _ACTION.search(body)
    return unquote_to_bytes(found[1]).decode("utf-8", "replace") if found else None
