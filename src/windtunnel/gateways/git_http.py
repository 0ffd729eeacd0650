"""git's smart HTTP wire at `/v1/repos/NAME`: clone and fetch by git itself, push by us, because a ref is a row in the store.

Invariants: the objects of a push are on disk, whole and connected, before a ref may name them; all refs of a push move in one
transaction with their events; `git push` says ok only after that transaction is durable.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import re
import tempfile
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from windtunnel.kernel.cloud import Cloud
from windtunnel.kernel.context import Context, RequestInfo
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.git import ZERO, GitHost, Moved, Opened, Update
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.records import Tx
from windtunnel.kernel.scope import Scope as CloudScope
from windtunnel.wire.gitauth import verify_git

log = logging.getLogger("windtunnel.git")
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
_PATH = re.compile(r"/v1/repos/([^/]+?)(?:\.git)?/(info/refs|git-upload-pack|git-receive-pack)\Z")
CAPABILITIES = "report-status delete-refs side-band-64k quiet atomic ofs-delta object-format=sha1 agent=windtunnel"
MAX_COMMANDS = 4000


def matches(scope: Scope) -> bool:
    """Whether a request is git's."""
    return scope["path"].startswith("/v1/repos/") and _PATH.match(scope["path"]) is not None


class Refused(Exception):
    """An HTTP answer other than 200."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Caller(NamedTuple):
    principal: Principal
    scope: CloudScope
    info: RequestInfo


class GitGateway:
    """The ASGI application behind `matches`."""

    def __init__(self, cloud: Cloud, backend: Any, region: str) -> None:
        self._cloud = cloud
        self._backend = backend
        self._region = region
        self._git: GitHost = cloud.part("git")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = _PATH.match(scope["path"])
        if found is None:
            await _reply(send, 404, b"")
            return
        try:
            await self._answer(scope, receive, send, found[1], found[2])
        except Refused as refused:
            extra = [(b"www-authenticate", b'Basic realm="AWS CodeCommit"')] if refused.status == 401 else []
            await _reply(send, refused.status, refused.text.encode(), extra)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, name: str, what: str) -> None:
        caller = self._authenticate(scope)
        service = _query(scope).get("service") if what == "info/refs" else what
        if service not in ("git-upload-pack", "git-receive-pack"):
            raise Refused(403, "The dumb protocol is not served; use git's smart HTTP.")
        action = "codecommit:GitPull" if service == "git-upload-pack" else "codecommit:GitPush"
        repo = self._open(caller, name, action, [])
        version = dict(scope["headers"]).get(b"git-protocol", b"").decode("latin-1")
        if what == "info/refs" and service == "git-receive-pack":
            await _reply(
                send,
                200,
                _advertisement(repo.refs),
                [(b"content-type", b"application/x-git-receive-pack-advertisement"), (b"cache-control", b"no-cache")],
            )
        elif what == "info/refs":
            body = await self._upload_advertisement(repo, version)
            await _reply(
                send, 200, body, [(b"content-type", b"application/x-git-upload-pack-advertisement"), (b"cache-control", b"no-cache")]
            )
        elif service == "git-upload-pack":
            await self._upload(scope, receive, send, repo, version)
        else:
            await self._receive(scope, receive, send, caller, repo)

    # -- who ------------------------------------------------------------------------------------------------------

    def _authenticate(self, scope: Scope) -> Caller:
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        kind, _, encoded = headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            raise Refused(401)
        try:
            username, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise Refused(401) from None
        host = headers.get("host", "")
        path = scope["path"].split("/info/refs")[0].removesuffix("/git-upload-pack").removesuffix("/git-receive-pack")
        with self._backend.snapshot("", "") as tx:
            principal, region = self._principal(tx, unquote(username), password, host, path)
        info = RequestInfo(
            source_ip=scope["client"][0] if scope.get("client") else "127.0.0.1", user_agent=headers.get("user-agent", "git"), host=host
        )
        return Caller(principal, CloudScope(principal.account, region), info)

    def _principal(self, tx: Tx, username: str, password: str, host: str, path: str) -> tuple[Principal, str]:
        """By the credential helper's signature, else by service-specific credentials (USER-at-ACCOUNT)."""
        if "-at-" in username:
            found = self._cloud.identity.service_password(tx, "codecommit.amazonaws.com", username, password)
            if found is None:
                raise Refused(403, "The service-specific credential is not valid.")
            return found, self._region
        try:
            known = verify_git(
                username, password, host, path, self._region, lambda key: self._cloud.identity.credential(tx, key), self._cloud.clock.wall()
            )
        except AwsError as error:
            raise Refused(403, error.message) from error
        return known.principal, self._region

    def _open(self, caller: Caller, name: str, action: str, references: list[str]) -> Opened:
        with self._backend.snapshot(caller.scope.account, caller.scope.region) as tx:
            try:
                found = self._git.open(self._context(tx, caller), name, action, references)
            except AwsError as error:
                raise Refused(403, error.message) from error
        if found is None:
            raise Refused(404, f"{name} does not exist")
        return found

    def _context(self, tx: Tx, caller: Caller) -> Context:
        return Context(tx, caller.scope, caller.principal, self._cloud, request=caller.info)

    # -- fetch ----------------------------------------------------------------------------------------------------

    async def _upload_advertisement(self, repo: Opened, version: str) -> bytes:
        process = await self._spawn(repo, version, "--http-backend-info-refs")
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        head = b"" if "version=2" in version else _pkt("# service=git-upload-pack\n") + b"0000"
        return head + out

    async def _spawn(self, repo: Opened, version: str, *extra: str) -> asyncio.subprocess.Process:
        path = await asyncio.get_running_loop().run_in_executor(None, self._git.path, repo.repository_id)
        return await asyncio.create_subprocess_exec(
            "git", "upload-pack", "--stateless-rpc", *extra, ".",
            cwd=path, env={**self._git.environment(), "GIT_PROTOCOL": version},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip

    async def _upload(self, scope: Scope, receive: Receive, send: Send, repo: Opened, version: str) -> None:
        body = await _whole_body(scope, receive, 64 << 20)
        process = await self._spawn(repo, version)
        if process.stdin is None or process.stdout is None:
            raise Refused(500)
        try:
            process.stdin.write(body)
            process.stdin.write_eof()
            await send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": [(b"content-type", b"application/x-git-upload-pack-result"), (b"cache-control", b"no-cache")],
                }
            )
            while data := await asyncio.wait_for(process.stdout.read(1 << 16), 600):
                await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            if process.returncode is None:
                try:
                    process.kill()
                except ProcessLookupError:
                    pass
            await process.wait()

    # -- push -----------------------------------------------------------------------------------------------------

    async def _receive(self, scope: Scope, receive: Receive, send: Send, caller: Caller, repo: Opened) -> None:
        loop = asyncio.get_running_loop()
        with tempfile.TemporaryDirectory(dir=self._cloud.data, prefix="push-") as directory:
            incoming = Path(directory) / "push"
            await _to_file(scope, receive, incoming)
            try:
                push = await loop.run_in_executor(None, read_push, incoming)
            except ValueError as error:
                raise Refused(400, f"The push could not be read: {error}") from error
            answers = await self._carry_out(caller, repo, push)
        report = _pkt("unpack ok\n" if push.problem is None else f"unpack {push.problem}\n")
        report += b"".join(_pkt(f"ok {ref}\n" if reason is None else f"ng {ref} {reason}\n") for ref, reason in answers) + b"0000"
        body = (_pkt_bytes(b"\x01" + report) + b"0000") if "side-band-64k" in push.capabilities else report
        await _reply(send, 200, body, [(b"content-type", b"application/x-git-receive-pack-result"), (b"cache-control", b"no-cache")])

    async def _carry_out(self, caller: Caller, repo: Opened, push: Push) -> list[tuple[str, str | None]]:
        denied = self._denied(caller, repo, push)
        if denied is not None:
            return [(update.ref, denied) for update in push.updates]
        loop = asyncio.get_running_loop()
        push.problem = await loop.run_in_executor(None, self._take_objects, caller, repo, push)
        if push.problem is not None:
            return [(update.ref, "unpacker error") for update in push.updates]
        summaries = await loop.run_in_executor(
            None, lambda: {u.new: self._git.summary(repo.repository_id, u.new) for u in push.updates if u.new != ZERO}
        )
        moved: Moved = await self._backend.submit(lambda tx: self._move(tx, caller, repo, push, summaries))
        if None in moved.reasons:
            await loop.run_in_executor(None, self._git.project, repo.repository_id, *moved[1:])
        return [(update.ref, reason) for update, reason in zip(push.updates, moved.reasons, strict=True)]

    def _denied(self, caller: Caller, repo: Opened, push: Push) -> str | None:
        """AWS's refusal when the caller may not push to one of the refs (condition key codecommit:References)."""
        try:
            self._open(caller, repo.name, "codecommit:GitPush", [update.ref for update in push.updates])
        except Refused:
            return "You don't have permission to push to this reference"
        return None

    def _take_objects(self, caller: Caller, repo: Opened, push: Push) -> str | None:
        if push.pack is not None:
            problem = self._git.accept_pack(repo.repository_id, push.pack)
            if problem is not None:
                return problem.splitlines()[-1]
        tips = [update.new for update in push.updates if update.new != ZERO]
        problem = self._git.connected(repo.repository_id, tips) if tips else None
        if problem is not None:
            return problem
        branches = [update.new for update in push.updates if update.new != ZERO and update.ref.startswith("refs/heads/")]
        return "a branch must name a commit" if branches and self._git.not_commits(repo.repository_id, branches) else None

    def _move(self, tx: Tx, caller: Caller, repo: Opened, push: Push, summaries: dict[str, str]) -> Moved:
        ctx = self._context(tx.within(caller.scope.account, caller.scope.region), caller)
        return self._git.move(ctx, repo, push.updates, summaries, "atomic" in push.capabilities)


class Push:
    """A receive-pack request, read: updates, capabilities, and the file that holds only the pack (None when nothing is sent)."""

    def __init__(self, updates: list[Update], capabilities: frozenset[str], pack: Path | None) -> None:
        self.updates = updates
        self.capabilities = capabilities
        self.pack = pack
        self.problem: str | None = None


def read_push(path: Path) -> Push:
    """Split a request into its commands and its pack. Raises ValueError for what is not git's (gitprotocol-pack)."""
    updates: list[Update] = []
    capabilities: frozenset[str] = frozenset()
    with path.open("rb") as file:
        while (line := _read_pkt(file)) is not None:
            if line.startswith(b"shallow "):
                continue  # where the client's history ends; ours must go on from there, which `connected` finds out
            command, _, rest = line.partition(b"\0")
            if rest:
                capabilities = frozenset(rest.decode("latin-1").split())
            parts = command.decode("utf-8", "strict").rstrip("\n").split(" ", 2)
            if len(parts) != 3 or not all(re.fullmatch(r"[0-9a-f]{40}", part) for part in parts[:2]):
                raise ValueError("a command is not `old new ref`")
            updates.append(Update(parts[2], parts[0], parts[1]))
            if len(updates) > MAX_COMMANDS:
                raise ValueError(f"more than {MAX_COMMANDS} references in one push")
        start = file.tell()
        if not file.read(4):
            return Push(updates, capabilities, None)
        file.seek(start)
        pack = path.with_name("pack")
        with pack.open("wb") as target:
            while data := file.read(1 << 20):
                target.write(data)
    return Push(updates, capabilities, pack)


def _read_pkt(file: Any) -> bytes | None:
    size = file.read(4)
    if len(size) < 4:
        raise ValueError("it ends inside its commands")
    try:
        length = int(size, 16)
    except ValueError:
        raise ValueError("a line's length is not hexadecimal") from None
    if length == 0:
        return None
    if length < 4:
        raise ValueError("a line's length is too small")
    data: bytes = file.read(length - 4)
    if len(data) != length - 4:
        raise ValueError("it ends inside a line")
    return data


def _advertisement(refs: dict[str, str]) -> bytes:
    lines = [f"{target} {name}" for name, target in sorted(refs.items())] or [f"{ZERO} capabilities^{{}}"]
    lines[0] += "\0" + CAPABILITIES
    return _pkt("# service=git-receive-pack\n") + b"0000" + b"".join(_pkt(line + "\n") for line in lines) + b"0000"


def _pkt(text: str) -> bytes:
    return _pkt_bytes(text.encode())


def _pkt_bytes(data: bytes) -> bytes:
    """pkt-lines of at most 65,520 bytes; longer data (a side band's) is split, its first byte repeated."""
    if len(data) <= 65516:
        return b"%04x" % (len(data) + 4) + data
    band, rest = data[:1], data[1:]
    return b"".join(b"%04x" % (len(piece) + 5) + band + piece for piece in (rest[i : i + 65000] for i in range(0, len(rest), 65000)))


def _query(scope: Scope) -> dict[str, str]:
    pairs = (part.partition("=") for part in scope["query_string"].decode("latin-1").split("&"))
    return {name: unquote(value) for name, _, value in pairs}


def _gzipped(scope: Scope) -> bool:
    return any(name == b"content-encoding" and b"gzip" in value for name, value in scope["headers"])


async def _next(receive: Receive) -> dict[str, Any]:
    try:
        message = await asyncio.wait_for(receive(), 60)
    except TimeoutError:
        raise Refused(408) from None
    if message["type"] == "http.disconnect":
        raise Refused(400)
    return message


async def _whole_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await _next(receive)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise Refused(413)
        if not message.get("more_body"):
            break
    body = b"".join(parts)
    if not _gzipped(scope):
        return body
    inflate = zlib.decompressobj(31)
    try:
        whole = inflate.decompress(body, limit)
    except zlib.error:
        raise Refused(400, "the body is not gzip") from None
    if not inflate.eof:
        raise Refused(413 if inflate.unconsumed_tail else 400, "the body is too large, or not whole")
    return whole


async def _to_file(scope: Scope, receive: Receive, path: Path) -> None:
    inflate = zlib.decompressobj(31) if _gzipped(scope) else None
    loop = asyncio.get_running_loop()
    with path.open("wb") as file:
        while True:
            message = await _next(receive)
            data = message.get("body", b"")
            while data:
                piece, data = (data, b"") if inflate is None else _inflated(inflate, data)
                if len(piece) > 65536:
                    await loop.run_in_executor(None, file.write, piece)
                else:
                    file.write(piece)
            if not message.get("more_body"):
                file.write(b"" if inflate is None else inflate.flush())
                return


def _inflated(inflate: Any, data: bytes) -> tuple[bytes, bytes]:
    """Up to 1 MiB of what the data says, and the data that has not been looked at."""
    try:
        return inflate.decompress(data, 1 << 20), inflate.unconsumed_tail
    except zlib.error:
        raise Refused(400, "the body is not gzip") from None


async def _reply(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    found = headers or []
    if not any(name == b"content-type" for name, _ in found):
        found = [*found, (b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": [*found, (b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
