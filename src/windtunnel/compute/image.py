"""Root filesystems: the stock image, made on first need on the user's machine and shared by all its clouds.

Why it exists: a sandbox must never run on the live `/`; its image is an immutable tree named by the hash of its tar.

The invariant it keeps: a directory under `trees/` is complete and never changes. It is written under another name and renamed when
done, by one process at a time (a lock file), so that a kill at any instant leaves at most rubbish under `tmp/`, which the next
builder sweeps.

The cache directory:
    stock-<recipe>        text: the name of the image that this recipe gave
    <image>.tar.zst       the image as it was built
    trees/base-<image>    unpacked, owned by host ids shifted by 100000 (guest root is host 100000)
    trees/aws-<key>       the aws CLI, a layer of its own
    trees/guest-<key>     our programs (`windtunnel/guest`) and settings, made anew whenever they change
Layers of an image, top first: guest, aws, base.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from windtunnel.compute import guest_layer, stock
from windtunnel.compute.driver import NoSuchImage, SandboxError

SHIFT = 100000
IDS = 65536
AWSCLI = "awscli==1.45.11"
GIT_REMOTE_CODECOMMIT = "git-remote-codecommit==1.17"
BUILD_LIMIT = 1200.0
"""Seconds after which a build of the image is given up."""

Progress = Callable[[str], None]

AWS_LAUNCHER = """#!/usr/bin/python3 -I
import sys
sys.path.insert(0, "/opt/aws/lib")
from awscli.clidriver import main
sys.exit(main())
"""


def default_cache() -> Path:
    """Where images are kept: `$XDG_CACHE_HOME/windtunnel/images`, by default under `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "windtunnel" / "images"


class Images:
    """The ImageStore of this machine. Safe to use from many threads and processes at once."""

    def __init__(self, cache: Path | None = None, progress: Progress = lambda line: None) -> None:
        self.cache = cache or default_cache()
        self.progress = progress
        self._guest_tree: Path | None = None

    def rootfs(self, image: str) -> list[Path]:
        """The layers of "stock" (made now if it is missing) or of the image with that name, top first."""
        name = self.ensure_stock(self.progress) if image == "stock" else image
        base = self._tree(f"base-{name}")
        archive = self.cache / f"{name}.tar.zst"
        if "/" in name or not (base.is_dir() or archive.is_file()):
            raise NoSuchImage(f"no image {image!r} on this machine: it has the stock image, and images made from it, only")
        if not base.is_dir():
            with self._lock(self.progress):
                self._unpack_base(name)
        return [self._guest(), self._aws(base, self.progress), base]

    def ensure_stock(self, progress: Progress) -> str:
        """The stock image's name; builds the image and all its layers if they are not there (half a minute, once)."""
        suite, sources = _machine_sources()
        pointer = self.cache / f"stock-{stock.recipe_key(sources, suite, os.uname().machine)}"
        if not pointer.exists():
            with self._lock(progress) as lock:
                if not pointer.exists():
                    self._build(suite, sources, pointer, progress, lock)
        name = pointer.read_text().strip()
        base = self._tree(f"base-{name}")
        if not base.is_dir():
            with self._lock(progress):
                self._unpack_base(name)
        self._aws(base, progress)
        self._guest()
        return name

    def _tree(self, name: str) -> Path:
        return self.cache / "trees" / name

    @contextlib.contextmanager
    def _lock(self, progress: Progress) -> Iterator[int]:
        """One builder at a time on this machine; whoever waited finds the work done.

        Gives the lock's descriptor, for a child to inherit: if this process is killed, the next builder waits for that child.
        """
        for directory in ("trees", "tmp"):
            (self.cache / directory).mkdir(parents=True, exist_ok=True)
        with open(self.cache / "lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress("stock image: waiting for another cloud that is building it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            for left in (self.cache / "tmp").iterdir():
                _delete(left)
            yield lock.fileno()

    def _build(self, suite: str, sources: list[stock.Source], pointer: Path, progress: Progress, lock: int) -> None:
        _need_root()
        _need("mmdebstrap", "tar", "zstd")
        began = time.monotonic()
        progress(f"stock image: building it from the packages of {suite}, once on this machine")
        tar = self.cache / "tmp" / "stock.tar"
        _mmdebstrap(suite, sources, tar, progress, lock)
        name = _hash(tar)
        progress(f"stock image: unpacking {tar.stat().st_size >> 20} MB")
        with open(tar, "rb") as stream:
            self._unpack(stream.fileno(), f"base-{name}")
        packed = tar.with_suffix(".tar.zst")
        _run(["zstd", "-q", "-3", str(tar), "-o", str(packed)], "packing the stock image")
        packed.rename(self.cache / f"{name}.tar.zst")
        tar.unlink()
        _write(pointer, name + "\n")
        progress(f"stock image: {name} built in {time.monotonic() - began:.0f} s")

    def _unpack_base(self, name: str) -> None:
        """The tree is gone but the archive is there: unpack it again. Called under the lock."""
        if self._tree(f"base-{name}").is_dir():
            return
        _need("zstd", "tar")
        archive = self.cache / f"{name}.tar.zst"
        if not archive.is_file():
            raise NoSuchImage(f"image {name} is gone from {self.cache}: remove {self.cache}/stock-* to build the stock image anew")
        with subprocess.Popen(["zstd", "-q", "-d", "-c", str(archive)], stdout=subprocess.PIPE) as unzstd:
            assert unzstd.stdout is not None
            self._unpack(unzstd.stdout.fileno(), f"base-{name}")

    def _unpack(self, tar: int, tree: str) -> None:
        """Unpack the tar that descriptor `tar` reads to trees/<tree>, owned by shifted ids. Called under the lock."""
        _need_root()
        target = self.cache / "tmp" / tree
        target.mkdir()
        os.chown(target, SHIFT, SHIFT)
        target.chmod(0o755)
        _untar_shifted(tar, target)
        os.sync()
        target.rename(self._tree(tree))

    def _aws(self, base: Path, progress: Progress) -> Path:
        """The aws CLI (and git-remote-codecommit) for the base's Python."""
        version = _python_of(base)
        key = hashlib.sha256("\n".join((AWSCLI, GIT_REMOTE_CODECOMMIT, AWS_LAUNCHER, version, os.uname().machine)).encode()).hexdigest()[
            :16
        ]
        tree = self._tree(f"aws-{key}")
        if not tree.is_dir():
            with self._lock(progress):
                if not tree.is_dir():
                    progress(f"stock image: installing {AWSCLI}")
                    self._build_aws(version, tree.name)
        return tree

    def _build_aws(self, version: str, tree: str) -> None:
        top = self.cache / "tmp" / "aws"
        _pip_install(top / "opt/aws/lib", version)
        bin_ = top / "usr/bin"
        bin_.mkdir(parents=True)
        for name, text in (
            ("aws", AWS_LAUNCHER),
            ("git-remote-codecommit", AWS_LAUNCHER.replace("awscli.clidriver", "git_remote_codecommit")),
        ):
            (bin_ / name).write_text(text)
            (bin_ / name).chmod(0o755)
        packed = self.cache / "tmp" / "aws.tar"
        _run(["tar", "-c", "--owner=0", "--group=0", "--numeric-owner", "-f", str(packed), "-C", str(top), "."], "packing the aws CLI")
        with open(packed, "rb") as stream:
            self._unpack(stream.fileno(), tree)

    def _guest(self) -> Path:
        """Our own programs and settings, from the files of `windtunnel/guest` as they were when this process first asked."""
        if self._guest_tree is None or not self._guest_tree.is_dir():
            entries = guest_layer.entries()
            tree = self._tree(f"guest-{guest_layer.key(entries)}")
            if not tree.is_dir():
                with self._lock(self.progress):
                    if not tree.is_dir():
                        self._build_guest(entries, tree.name)
            self._guest_tree = tree
        return self._guest_tree

    def _build_guest(self, entries: list[guest_layer.Entry], tree: str) -> None:
        import tarfile

        packed = self.cache / "tmp" / "guest.tar"
        with tarfile.open(packed, mode="w") as tar:
            guest_layer.pack(entries, tar)
        with open(packed, "rb") as stream:
            self._unpack(stream.fileno(), tree)


def _machine_sources() -> tuple[str, list[stock.Source]]:
    """The running distribution's code name and its own archives among the machine's apt sources."""
    suite = _os_release().get("VERSION_CODENAME", "")
    directory = Path("/etc/apt")
    files = {p.name: p.read_text() for p in [directory / "sources.list", *directory.glob("sources.list.d/*")] if p.is_file()}
    sources = stock.apt_sources({n: t for n, t in files.items() if n.endswith((".list", ".sources"))}, suite)
    if not sources:
        raise SandboxError(
            f"the stock image is made from the machine's own Debian or Ubuntu archives, and /etc/apt names none for {suite or 'this system'!r}"
        )
    return suite, sources


def _os_release() -> dict[str, str]:
    try:
        text = Path("/etc/os-release").read_text()
    except FileNotFoundError:
        return {}
    return {key: value.strip('"') for key, _, value in (line.partition("=") for line in text.splitlines())}


def _mmdebstrap(suite: str, sources: list[stock.Source], tar: Path, progress: Progress, lock: int) -> None:
    """Run it, its steps as progress lines; what it complained of becomes the error."""
    argv = stock.mmdebstrap_argv(suite, tar, _apt_proxies())
    env = {**os.environ, "TMPDIR": str(tar.parent), "LC_ALL": "C"}
    complaints: list[str] = []
    began = time.monotonic()
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=env, text=True, pass_fds=(lock,)
    ) as process:
        assert process.stdin is not None and process.stderr is not None
        limit = threading.Timer(BUILD_LIMIT, process.terminate)
        limit.start()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(stock.sources_text(sources))
            process.stdin.close()
        for line in process.stderr:
            mark, _, text = line.strip().partition(": ")
            if mark == "I" and text.endswith("..."):
                progress(f"stock image: {text[:-3]} ({time.monotonic() - began:.0f} s)")
            elif mark in ("E", "Err") or "error" in line.lower():
                complaints.append(line.strip())
        limit.cancel()
    if process.returncode and time.monotonic() - began > BUILD_LIMIT:
        complaints.append(f"given up after {BUILD_LIMIT:.0f} s")
    if process.returncode:
        raise SandboxError(
            "the stock image could not be built: " + ("; ".join(complaints[-5:]) or f"mmdebstrap ended with {process.returncode}")
        )


def _apt_proxies() -> dict[str, str]:
    """The machine's proxy settings for apt, which the build and the image need as well."""
    if shutil.which("apt-config") is None:
        return {}
    dump = _run(["apt-config", "dump", "--format", "%f=%v%n", "Acquire::http::Proxy", "Acquire::https::Proxy"], "reading apt's settings")
    return {key: value for key, _, value in (line.partition("=") for line in dump.splitlines()) if value}


def _untar_shifted(tar: int, target: Path) -> None:
    """Unpack within a user namespace of its own (see unpack.py)."""
    ready_r, ready_w = os.pipe()
    go_r, go_w = os.pipe()
    program = Path(__file__).with_name("unpack.py")
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(program), str(ready_w), str(go_r)],
        stdin=tar, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=target, pass_fds=(ready_w, go_r),
    )  # fmt: skip
    os.close(ready_w)
    os.close(go_r)
    try:
        if os.read(ready_r, 1) == b"+":
            for map_ in ("uid_map", "gid_map"):
                Path(f"/proc/{process.pid}/{map_}").write_text(f"0 {SHIFT} {IDS}\n")
            os.write(go_w, b"+")
    finally:
        os.close(ready_r)
        os.close(go_w)
    _, complaint = process.communicate(timeout=BUILD_LIMIT)
    if process.returncode:
        raise SandboxError(f"unpacking to {target} failed: {complaint.decode(errors='replace').strip()[-500:]}")


def _pip_install(target: Path, version: str) -> None:
    argv = [sys.executable, "-m", "pip", "install", "-q", "--target", str(target), "--no-compile", "--no-warn-conflicts"]
    wheels = [
        "--python-version",
        version,
        "--only-binary=:all:",
        *(f"--platform=manylinux{p}_{os.uname().machine}" for p in ("2014", "_2_17", "_2_28")),
    ]
    _run([*argv, *wheels, AWSCLI], f"installing {AWSCLI} into the stock image", limit=300)
    # git-remote-codecommit is published as source only, and pure Python; what it imports came with the aws CLI.
    _run([*argv, "--no-deps", GIT_REMOTE_CODECOMMIT], f"installing {GIT_REMOTE_CODECOMMIT} into the stock image", limit=300)
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        _run(
            [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(target), str(target)],
            "compiling",
            limit=300,
        )
    shutil.rmtree(target / "bin", ignore_errors=True)


def _python_of(base: Path) -> str:
    """The version of the image's Python, `3.11`."""
    return os.readlink(base / "usr/bin/python3").removeprefix("python")


def _run(argv: list[str], doing: str, limit: float = 120) -> str:
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        raise SandboxError(f"{doing}: {argv[0]} did not end within {limit:.0f} s") from None
    if done.returncode:
        raise SandboxError(f"{doing} failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def _need(*tools: str) -> None:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        raise SandboxError(f"the stock image needs {', '.join(missing)}: apt-get install {' '.join(missing)}")


def _need_root() -> None:
    if os.geteuid() != 0:
        raise SandboxError("the stock image is owned by the ids of the sandboxes, and only root can write those: run as root once")


def _hash(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:24]


def _write(path: Path, text: str) -> None:
    """Whole or not at all, also when the power goes."""
    partial = path.with_name(path.name + ".partial")
    with open(partial, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    partial.rename(path)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def main() -> int:
    """`python -m windtunnel.compute.image`: make what is missing, say how it goes on stderr, print the layers."""
    began = time.monotonic()

    def progress(line: str) -> None:
        print(f"{time.monotonic() - began:6.1f}  {line}", file=sys.stderr, flush=True)

    images = Images(progress=progress)
    try:
        name = images.ensure_stock(progress)
    except SandboxError as error:
        print(error, file=sys.stderr)
        return 1
    for layer in images.rootfs(name):
        print(layer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
