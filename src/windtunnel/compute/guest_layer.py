"""The top layer of every image: our programs inside sandboxes, and the settings that make Debian answer like an instance.

Why it exists: what runs inside (`windtunnel/guest`) changes with every release while the base image stays; as a layer of its own
it follows in milliseconds.

The invariant it keeps: the layer is a pure function of the files of `windtunnel/guest` and the machine's certificate authorities.

Files under `guest/rootfs/` go to the same path in the image, everything else to /opt/windtunnel/. Inside, a link makes
`from windtunnel.guest.x import y` mean the same there as here.
"""

from __future__ import annotations

import hashlib
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import tarfile

GUEST = Path(__file__).parents[1] / "guest"
OPT = "opt/windtunnel"
BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem")
LOCAL_AUTHORITIES = Path("/usr/local/share/ca-certificates")
LINKS_OF_THE_BASE = ("bin", "sbin", "lib", "lib64", "var/run", "var/lock")


class Entry(NamedTuple):
    """One file or link of the layer. path: without a leading slash. target: of a symbolic link, else ""."""

    path: str
    content: bytes
    mode: int
    target: str = ""


def entries() -> list[Entry]:
    """The layer's content, in path order."""
    found = [*_programs(), *_settings(), *_authorities()]
    found.append(Entry(f"{OPT}/windtunnel/__init__.py", b"", 0o644))
    found.append(Entry(f"{OPT}/windtunnel/guest", b"", 0o777, ".."))
    for entry in found:
        if entry.path.startswith(tuple(f"{link}/" for link in LINKS_OF_THE_BASE)):
            raise ValueError(f"{entry.path}: a directory here would hide a link of the base image")
    return sorted(found)


def key(layer: list[Entry]) -> str:
    """The layer's name."""
    digest = hashlib.sha256(sys.implementation.cache_tag.encode() if sys.implementation.cache_tag else b"")
    for entry in layer:
        digest.update(f"{entry.path}\0{entry.mode:o}\0{entry.target}\0{len(entry.content)}\0".encode() + entry.content)
    return digest.hexdigest()[:16]


def pack(layer: list[Entry], tar: tarfile.TarFile) -> None:
    """Write the layer as a tar, owned by root; our modules compiled, so that no start inside compiles them."""
    import tarfile

    made: set[str] = set()
    for entry in [*layer, *_compiled(layer)]:
        for parent in reversed(Path(entry.path).parents[:-1]):
            if str(parent) not in made:
                made.add(str(parent))
                directory = tarfile.TarInfo(str(parent))
                directory.type, directory.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(directory)
        info = tarfile.TarInfo(entry.path)
        info.mode, info.size = entry.mode, len(entry.content)
        if entry.target:
            info.type, info.linkname = tarfile.SYMTYPE, entry.target
        tar.addfile(info, io.BytesIO(entry.content))


def _programs() -> list[Entry]:
    paths = (p for p in GUEST.rglob("*") if p.is_file() and "__pycache__" not in p.parts and GUEST / "rootfs" not in p.parents)
    return [Entry(f"{OPT}/{p.relative_to(GUEST)}", p.read_bytes(), 0o755) for p in paths]


def _settings() -> list[Entry]:
    root = GUEST / "rootfs"
    found = []
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found.append(Entry(name, b"", 0o777, str(path.readlink())))
        elif path.is_file():
            found.append(Entry(name, path.read_bytes(), _mode(name)))
    return found


def _mode(path: str) -> int:
    if path.startswith("etc/sudoers.d/"):
        return 0o440
    return 0o755 if "/bin/" in path or "/sbin/" in path else 0o644


def _authorities() -> list[Entry]:
    """Whom the machine trusts, its sandboxes trust: behind a company's proxy nothing could be downloaded inside otherwise."""
    bundle = next((Path(p) for p in BUNDLES if Path(p).is_file()), None)
    found = [Entry("etc/ssl/certs/ca-certificates.crt", bundle.read_bytes(), 0o644)] if bundle else []
    for path in sorted(LOCAL_AUTHORITIES.glob("**/*.crt")):
        found.append(Entry(f"usr/local/share/ca-certificates/{path.name}", path.read_bytes(), 0o644))
    return found


def _compiled(layer: list[Entry]) -> list[Entry]:
    import py_compile
    import tempfile

    tag = sys.implementation.cache_tag
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        source, target = Path(scratch, "module.py"), Path(scratch, "module.pyc")
        for entry in layer:
            if entry.path.startswith(OPT) and entry.path.endswith(".py") and entry.content:
                source.write_bytes(entry.content)
                mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
                py_compile.compile(str(source), str(target), dfile=f"/{entry.path}", doraise=True, invalidation_mode=mode)
                path = Path(entry.path)
                found.append(Entry(f"{path.parent}/__pycache__/{path.stem}.{tag}.pyc", target.read_bytes(), 0o644))
    return found
