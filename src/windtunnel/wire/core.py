"""From a request to an answer, knowing no HTTP server: route, verify, decode, authorize, run, encode.

Invariants: an answer to a write goes out after its commit; a read runs in one snapshot; whatever goes wrong becomes the error
that this service's protocol has for it, and an exception nobody foresaw becomes a 500 that says nothing but is logged whole.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any, NamedTuple

from windtunnel.kernel.audit import Audit
from windtunnel.kernel.cloud import BlobRange, BlobReader, BlobWriter, Body, DamagedBlob
from windtunnel.kernel.context import Context, EventStream, RequestInfo, Wait
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.principal import Credential, Principal
from windtunnel.kernel.records import Tx
from windtunnel.kernel.registry import OPERATIONS, RULES, ServiceRules
from windtunnel.kernel.scope import Scope
from windtunnel.wire.autherrors import Family, refused
from windtunnel.wire.backend import Backend
from windtunnel.wire.bodies import MAX_BODY as MAX_BODY
from windtunnel.wire.bodies import Stager, is_packed, prove_body, unpacked
from windtunnel.wire.models import load_service
from windtunnel.wire.paging import key_maker
from windtunnel.wire.protocols import compile_error_encoder
from windtunnel.wire.protocols.base import ErrorEncoder, RawRequest, Response, parse_query
from windtunnel.wire.protocols.events import EventEncoder
from windtunnel.wire.request import ClientLeft, Plan, Run
from windtunnel.wire.request import Request as Request
from windtunnel.wire.request import Streamed as Streamed
from windtunnel.wire.routing import Route, Router, scope_service
from windtunnel.wire.sigv4 import Signed, Verified, read_signature, shown_document, verify
from windtunnel.wire.streaming import Events

log = logging.getLogger("windtunnel.wire")
_LATER = (Wait, EventStream)
"""Answers whose outcome is not known yet."""
_XML_ELSEWHERE = ("cloudfront", "route53")
"""Signing names of rest-xml services other than S3's."""
INLINE_STAGE = 16 * 1024
"""Bodies up to this size are staged without a file, on the loop."""
SHORTEST_PAUSE = 0.005
"""Seconds between two looks of a long poll at a clock that stands still, or nearly."""


Answer = Response | Streamed | Events


class Listening(NamedTuple):
    """A long poll that waits, and the future that is done at the next notification."""

    wait: Wait
    heard: asyncio.Future[None]


class Core:
    """`handle(request)` is the whole wire."""

    def __init__(self, backend: Backend, *, strict: bool = False) -> None:
        """strict: answers with members or types that the model does not have become a 500 that is logged; for tests."""
        self._backend = backend
        self._strict = strict
        self._cloud = backend.cloud
        self._audit: Audit = backend.cloud.part("audit")
        registered: dict[str, set[str]] = {}
        for service, operation in OPERATIONS:
            registered.setdefault(service, set()).add(operation)
        self._router = Router(registered)
        self._plans: dict[tuple[str, str, str], Plan] = {}
        self._errors: dict[tuple[str, str], ErrorEncoder] = {}
        self.inline_stage = INLINE_STAGE
        self._page_key = key_maker(lambda label: self._cloud.part("sealer").derive(label))

    @property
    def endpoint(self) -> str:
        return self._cloud.endpoint

    def in_thread(self, work: Callable[[], Any]) -> Awaitable[Any]:
        return self._backend.in_thread(work)

    def blob_reader(self, part: BlobRange) -> BlobReader:
        return self._cloud.blobs.reader(part.ref)

    def damaged(self, request: Request, error: DamagedBlob) -> Response:
        """What was stored cannot be given back: said, and logged, in place of bytes that may be wrong."""
        log.error("%s %s: the stored bytes are damaged: %s", request.method, request.raw_path, error)
        return self.refuse(request, _damaged())

    # -- a request ----------------------------------------------------------------------------------------------------

    def handle(self, request: Request) -> Answer | Awaitable[Answer]:
        """The answer, at once for point reads and refusals, else when its work is done."""
        try:
            signed, route = self._route(request)
            plan = self._plan(route)
            family = _family(route)
            principal, region = self._authenticate(request, plan, signed, family)
            if "content-encoding" in request.head and is_packed(request, plan):
                return self._guard(request, self._unpacked(request, plan, route, principal, region))
            return self._run(request, plan, route, principal, region)
        except AwsError as error:
            return self.refuse(request, error)
        except DamagedBlob as error:
            return self.damaged(request, error)
        except Exception:  # the wire's edge
            log.exception("%s %s", request.method, request.raw_path)
            return self.refuse(request, _internal())

    def refuse(self, request: Request, error: AwsError) -> Response:
        """An error in the words of the service that was asked, as far as that is known."""
        route = request.route or self._guess(request)
        if error.code == "AccessDenied":
            error = _denied(route, error)
        key = (route.service, route.protocol)
        encoder = self._errors.get(key)
        if encoder is None:
            encoder = self._errors[key] = compile_error_encoder(load_service(route.service), route.protocol)
        return encoder(error, request.id or _request_id(), request.method == "HEAD")

    def _route(self, request: Request) -> tuple[Signed | None, Route]:
        route = request.route
        if route is None:
            route = request.route = self._router.route(
                request.method, request.head.get("host", ""), request.raw_path, request.raw_query, request.head, request.body
            )
        return read_signature(dict(request.headers), request.raw_query, _family(route)), route

    def _guess(self, request: Request) -> Route:
        """Whose words an error takes when no operation was found: by target, by credential scope and body, else S3's."""
        service = scope_service(request.head, request.raw_query)
        if "smithy-protocol" in request.head:
            return Route("cloudwatch", "", {}, "smithy-rpc-v2-cbor")
        if "x-amz-target" in request.head:
            return Route("ssm", "", {}, "json")
        if service in (None, "s3"):
            return Route("s3", "", {}, "rest-xml")
        rest = self._router.rest_json_of(service)
        if rest is not None:
            return Route(rest, "", {}, "rest-json")
        if service == "ec2":
            return Route("ec2", "", {}, "ec2")
        form = request.head.get("content-type", "").startswith("application/x-www-form-urlencoded") or "Action=" in request.raw_query
        return Route("sts", "", {}, "query") if form or service in _XML_ELSEWHERE else Route("ssm", "", {}, "json")

    def _plan(self, route: Route) -> Plan:
        key = (route.service, route.operation, route.protocol)
        plan = self._plans.get(key)
        if plan is None:
            operation = OPERATIONS.get((route.service, route.operation))
            if operation is None:
                raise not_built(route.service, route.operation)
            rules = RULES.get(route.service) or ServiceRules()
            plan = self._plans[key] = Plan(operation, load_service(route.service), route.protocol, rules, self._strict)
            plan.audited = self._audit.follows(route.service, route.operation)
        return plan

    def _authenticate(self, request: Request, plan: Plan, signed: Signed | None, family: Family) -> tuple[Principal, str]:
        if signed is None:
            if family == "s3" or _unsigned(request.route):
                if request.staged is None:
                    prove_body(request, plan, None)
                return Principal.anonymous(), self._cloud_region()
            raise refused(family, "missing")
        if request.staged is not None and request.verified is not None:
            return request.verified.credential.principal, request.verified.region or self._cloud_region()
        verified = self._verify(request, signed, family)
        prove_body(request, plan, verified)
        return verified.credential.principal, verified.region or self._cloud_region()

    def _cloud_region(self) -> str:
        return self._backend.region

    def _verify(self, request: Request, signed: Signed, family: Family) -> Verified:
        if signed.version == 1:
            return self._verify_instance(request, signed, family)
        identity = self._cloud.identity

        def lookup(access_key: str) -> Credential | None:
            known = identity.known(access_key)
            if known is not None:
                return known
            with self._backend.snapshot("", "") as tx:
                return identity.credential(tx, access_key)

        return verify(
            signed,
            request.method,
            request.raw_path,
            request.raw_query,
            request.headers,
            lambda: sha256(request.body).hexdigest(),
            lookup,
            self._cloud.clock.wall(),
            family,
            self._router.signing_names.get(request.route.service) if request.route is not None else None,
        )

    def _verify_instance(self, request: Request, signed: Signed, family: Family) -> Verified:
        """An instance that shows its signed identity document, which CloudFormation alone takes."""
        if request.route is None or request.route.service != signed.service:
            raise refused(family, "not-supported", "Authorization header requires 'AWS4-HMAC-SHA256' as its algorithm.")
        shown = shown_document(signed.proof)
        with self._backend.snapshot("", "") as tx:
            caller = self._cloud.part("instance-identity")(tx, *shown) if shown is not None else None
        if caller is None:
            raise refused(family, "unknown-key")
        signed.region = caller.region
        return Verified(Credential("", "", caller.principal), signed, "unsigned", "", b"", "", "")

    async def _unpacked(self, request: Request, plan: Plan, route: Route, principal: Principal, region: str) -> Answer:
        """The run of a request whose body comes compressed; a small one may be a large one, so it is unpacked in a thread."""
        data = request.body
        request.body = await self._backend.in_thread(lambda: unpacked(data))
        answer = self._run(request, plan, route, principal, region)
        return await answer if isinstance(answer, Awaitable) else answer

    # -- running ------------------------------------------------------------------------------------------------------

    def _run(self, request: Request, plan: Plan, route: Route, principal: Principal, region: str) -> Answer | Awaitable[Answer]:
        body = b"" if request.staged is not None else request.body
        raw = RawRequest(request.method, request.raw_path, route.path_params, parse_query(request.raw_query), request.head, body)
        args = plan.decode(raw)
        operation = plan.operation
        if plan.streaming_input is not None:
            args[plan.streaming_input] = self._body(request) if operation.body == "stage" else request.body
        scope = Scope(principal.account or self._backend.account, region)
        request.id = _request_id()  # an error's too: what was recorded of the request is found by the id that the client saw
        run = Run(plan, scope, principal, _info(request), args)
        run.left = request.left
        if plan.pages is not None and (token := args.get(plan.pages.argument)):
            run.page = token
            plan.pages.open(self._page_key, scope, args)
        if operation.kind == "read" and (operation.cost == "point" or operation.few is not None):
            with self._backend.snapshot(scope.account, scope.region) as tx:
                ctx = Context(tx, scope, principal, self._cloud, request=run.info)
                if operation.few is not None and not operation.few(ctx, **args):
                    return self._guard(request, self._elsewhere(run))
                result = self._call(run, ctx)
            if not isinstance(result, Wait):
                return self._encode(run, result)
            return self._guard(request, self._waiting(run, self._listening(result)))
        return self._guard(request, self._elsewhere(run))

    def _call(self, run: Run, ctx: Context) -> Any:
        operation = run.plan.operation
        try:
            self._cloud.identity.check(ctx, operation.authorize(ctx, **run.args))
            result = operation.handler(ctx, **run.args)
        except AwsError as error:
            self._refused(run, error)
            raise
        if run.plan.audited and not isinstance(result, _LATER):
            self._audit.note(operation, run.scope, run.principal, run.info, run.asked, result, None, ctx)
        return result

    def _refused(self, run: Run, error: AwsError) -> None:
        if run.plan.audited:
            self._audit.note(run.plan.operation, run.scope, run.principal, run.info, run.asked, None, error)

    async def _guard(self, request: Request, work: Awaitable[Answer]) -> Answer:
        try:
            return await work
        except AwsError as error:
            return self.refuse(request, error)
        except DamagedBlob as error:
            return self.damaged(request, error)
        except ClientLeft:
            raise
        except Exception:  # the wire's edge, for work that left the loop turn
            log.exception("%s %s", request.method, request.raw_path)
            return self.refuse(request, _internal())

    async def _elsewhere(self, run: Run) -> Answer:
        operation = run.plan.operation
        if operation.kind == "read":
            result = await self._in_thread_snapshot(run, lambda ctx: self._call(run, ctx))
        else:
            if operation.prepare is not None:
                prepare = operation.prepare
                run.args = await self._in_thread_snapshot(run, lambda ctx: self._prepared(run, prepare, ctx))
            result = await self._written(run)
        if isinstance(result, Wait):
            result = self._listening(result)
        return await self._waiting(run, result) if isinstance(result, Listening) else self._encode(run, result)

    async def _written(self, run: Run) -> Any:
        """A write's result. One that waits listens from its own transaction on: what is notified by the next of its group is for it."""
        listening: list[Listening] = []

        def write(tx: Tx) -> Any:
            within = tx.within(run.scope.account, run.scope.region)
            result = self._call(run, Context(within, run.scope, run.principal, self._cloud, request=run.info))
            if isinstance(result, Wait):
                result = self._listening(result)
                listening.append(result)
            return result

        try:
            return await self._backend.submit(write)
        except BaseException:
            for wait, heard in listening:
                self._backend.unlisten(wait.signal, heard)
            raise

    def _listening(self, wait: Wait) -> Listening:
        return Listening(wait, self._backend.listen(wait.signal))

    def _prepared(self, run: Run, prepare: Callable[[Any, dict[str, Any]], dict[str, Any]], ctx: Context) -> dict[str, Any]:
        try:
            self._cloud.identity.check(ctx, run.plan.operation.authorize(ctx, **run.args))
            return prepare(ctx, run.args)
        except AwsError as error:
            self._refused(run, error)
            raise

    async def _in_thread_snapshot(self, run: Run, work: Callable[[Context], Any]) -> Any:
        def read() -> Any:
            with self._backend.thread_snapshot(run.scope.account, run.scope.region) as tx:
                return work(Context(tx, run.scope, run.principal, self._cloud, request=run.info))

        return await self._backend.in_thread(read)

    async def _waiting(self, run: Run, listening: Listening) -> Answer:
        """A long poll: asked again at each notification, and when time alone changes something; answered with `otherwise` at the end.

        Not asked again once its client has left: what a write would take then, a message say, would be taken by nobody.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + listening.wait.timeout
        result: Any = listening
        heard = listening.heard
        leaving = asyncio.ensure_future(run.left()) if run.left is not None else None

        def stop_listening(_: Any) -> None:
            if not heard.done():
                heard.set_result(None)

        if leaving is not None:
            leaving.add_done_callback(stop_listening)
        try:
            while isinstance(result, Listening):
                wait, heard = result
                left = max(0.0, deadline - loop.time())
                pause = left if wait.again is None else min(left, max(wait.again, SHORTEST_PAUSE))
                notified = await self._backend.wait_for(wait.signal, pause, heard)
                if leaving is not None and leaving.done():
                    raise ClientLeft
                if not notified and (pause == left or self._backend.closing):
                    result = wait.otherwise
                    break
                if run.plan.operation.kind == "write":
                    result = await self._written(run)
                    continue
                with self._backend.snapshot(run.scope.account, run.scope.region) as tx:
                    result = self._call(run, Context(tx, run.scope, run.principal, self._cloud, request=run.info))
                if isinstance(result, Wait):
                    result = self._listening(result)
        finally:
            if leaving is not None:
                leaving.cancel()
        return self._encode(run, result)

    def _encode(self, run: Run, result: dict[str, Any] | None) -> Answer:
        plan, request_id = run.plan, run.info.id
        if plan.pages is not None and result is not None:
            result = plan.pages.seal(self._page_key, run.scope, run.args, result, run.page)
        if plan.events is not None and result is not None:
            return self._events(run, plan.events, result)
        if plan.streaming_output is None or result is None or plan.streaming_output not in result:
            return plan.encode(result or {}, request_id)
        body = result[plan.streaming_output]
        rest = {name: value for name, value in result.items() if name != plan.streaming_output}
        status, headers, _ = plan.encode(rest, request_id)
        headers = [(name, value) for name, value in headers if name != b"content-length"]
        if isinstance(body, BlobRange) and body.ref.inline is not None:
            data = body.ref.inline[body.offset : body.offset + body.length]
            return status, [*headers, (b"content-length", b"%d" % len(data))], data
        if isinstance(body, bytes):
            return status, [*headers, (b"content-length", b"%d" % len(body))], body
        size = sum(part.length for part in body) if isinstance(body, list) else body.length
        return Streamed(status, [*headers, (b"content-length", b"%d" % size)], body)

    def _events(self, run: Run, encoder: EventEncoder, result: dict[str, Any]) -> Answer:
        stream = result.get(encoder.member)
        if not isinstance(stream, EventStream):
            stream = EventStream((), lambda _: None, "")
        rest = {name: value for name, value in result.items() if name != encoder.member}
        status, headers, _ = run.plan.encode(rest, run.info.id)

        async def look(stream: EventStream) -> Any:
            if run.plan.operation.cost == "scan":
                return await self._in_thread_snapshot(run, stream.follow)
            with self._backend.snapshot(run.scope.account, run.scope.region) as tx:
                return stream.follow(Context(tx, run.scope, run.principal, self._cloud, request=run.info))

        return Events(status, headers, encoder, stream, rest, look, self._backend.wait_for)

    # -- bodies that stream -------------------------------------------------------------------------------------------

    def _body(self, request: Request) -> Body:
        if request.staged is not None:
            return request.staged
        return Body(self._cloud.blobs.small(request.body), tuple(request.checksums))

    def stager(self, request: Request) -> Stager | None:
        """For a body that does not fit one message: where to stream it, verified first; None when the operation takes bytes."""
        if request.method not in ("PUT", "POST") or request.head.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return None
        if not self.precheck(request) or request.route is None:
            return None
        return Stager(self, request, self._plan(request.route), request.verified)

    def precheck(self, request: Request) -> bool:
        """Who asks, before a body is asked for (`Expect: 100-continue`) or staged: False when this operation reads the body first. Raises AwsError."""
        if request.verified is not None:
            return True
        if request.head.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return False
        signed, route = self._route(request)
        plan = self._plan(route)
        if plan.operation.body != "stage" or plan.streaming_input is None:
            return False
        if signed is not None:
            request.verified = self._verify(request, signed, _family(route))
        elif _family(route) == "s3":
            self._admit_stranger(request, plan, route)
        else:
            raise refused(_family(route), "missing")
        return True

    def _admit_stranger(self, request: Request, plan: Plan, route: Route) -> None:
        """Whether just anyone may do this, before any of a stranger's bytes is kept. Raises AwsError."""
        raw = RawRequest(request.method, request.raw_path, route.path_params, parse_query(request.raw_query), request.head, b"")
        args = plan.decode(raw)
        args[plan.streaming_input or ""] = Body(self._cloud.blobs.small(b""))
        scope = Scope(self._backend.account, self._cloud_region())
        with self._backend.snapshot(scope.account, scope.region) as tx:
            ctx = Context(tx, scope, Principal.anonymous(), self._cloud, request=_info(request))
            self._cloud.identity.check(ctx, plan.operation.authorize(ctx, **args))

    def blob_writer(self) -> BlobWriter:
        return self._cloud.blobs.writer()


_ids = random.Random(secrets.randbits(128))


def _info(request: Request) -> RequestInfo:
    head = request.head
    return RequestInfo(request.id, request.client, head.get("user-agent", ""), request.secure, head.get("host", ""), request.sandbox)


def _request_id() -> str:
    h = f"{_ids.getrandbits(128):032x}"
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def _family(route: Route) -> Family:
    if route.service == "s3":
        return "s3"
    if route.protocol == "query-json":
        return "query"
    if route.protocol in ("ec2", "query", "rest-json"):
        return route.protocol  # type: ignore[return-value]
    return "json"


def _unsigned(route: Route | None) -> bool:
    rules = RULES.get(route.service) if route is not None else None
    return route is not None and rules is not None and route.operation in rules.unsigned


def _denied(route: Route, error: AwsError) -> AwsError:
    """AccessDenied under the name, and in the words, that the service has for it."""
    if route.protocol == "ec2":
        return AwsError("UnauthorizedOperation", f"You are not authorized to perform this operation. {error.message}", status=403)
    rules = RULES.get(route.service)
    own = rules.access_denied_code if rules else "AccessDeniedException"
    if route.protocol in ("json", "rest-json", "smithy-rpc-v2-cbor"):
        return AwsError(own, error.message, status=None if route.protocol == "rest-json" else 400)
    return AwsError("AccessDenied" if own == "AccessDeniedException" else own, error.message, status=403)


def _damaged() -> AwsError:
    return AwsError("InternalError", "We encountered an internal error. Please try again.", status=500)


def _internal() -> AwsError:
    return AwsError("InternalFailure", "Windtunnel made a mistake; its log says which. Nothing was changed.", status=500)
