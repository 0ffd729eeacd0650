"""`snapshot save | load | list | delete`: the whole cloud at one moment, by name."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import msgspec

from windtunnel.commands.running import run_file, try_lock
from windtunnel.store.opening import Unusable
from windtunnel.upkeep import loading, snapshots
from windtunnel.upkeep.layout import Refused

MIB = 1 << 20


def main(options: argparse.Namespace) -> int:
    root = options.snapshots.expanduser().absolute()
    try:
        return {"save": _save, "load": _load, "list": _list, "delete": _delete}[options.action](options, root)
    except (Refused, Unusable) as refused:
        print(f"windtunnel: {refused}", file=sys.stderr)
    except OSError as error:
        print(f"windtunnel: {error.strerror}: {error.filename or root}", file=sys.stderr)
    return 1


def _save(options: argparse.Namespace, root: Path) -> int:
    data = options.data.expanduser().absolute()
    began = time.monotonic()
    held = try_lock(data)  # without one a cloud runs, and goes on
    try:
        if held is not None:
            loading.finish(data)
        manifest = snapshots.save(data, root, options.name, copy=options.copy)
    finally:
        if held is not None:
            held.close()
    how = "copied" if manifest.copied else "shared"
    print(
        f"saved {manifest.name}: {manifest.files} files, {manifest.size / MIB:.1f} MiB ({how}), in {time.monotonic() - began:.1f} s"
        f"{'' if held is not None else ', while the cloud runs'}"
    )
    if manifest.missing:
        print(f"windtunnel: the cloud lacks {len(manifest.missing)} blobs; see `windtunnel doctor --data {data}`", file=sys.stderr)
        return 2
    return 0


def _load(options: argparse.Namespace, root: Path) -> int:
    data = options.data.expanduser().absolute()
    manifest = put(root, options.name, data, options.replace)
    print(f"loaded {manifest.name} of {_clock(manifest.taken)} into {data}; start it with `windtunnel up --data {data}`")
    return 0


def put(root: Path, name: str, data: Path, replace: bool = False) -> snapshots.Manifest:
    """Load a snapshot into a directory on which no cloud runs; Refused otherwise."""
    snapshots.the_snapshot(root, name)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    held = try_lock(data)
    if held is None:
        running = run_file(data)
        where = f" at {running.endpoint} (pid {running.pid})" if running else ""
        raise Refused(f"a cloud runs on {data}{where}; stop it first with `windtunnel down --data {data}`")
    with held:
        if replace and (data / "sandboxes").is_dir():
            from windtunnel.commands.down import stop_sandboxes

            stop_sandboxes(data / "sandboxes")
        return loading.load(root, name, data, replace=replace)


def _list(options: argparse.Namespace, root: Path) -> int:
    manifests = snapshots.found(root)
    if options.json:
        print(json.dumps(msgspec.to_builtins(manifests), indent=2))
        return 0
    if not manifests:
        print(f"no snapshots in {root}")
        return 0
    wide = max(len(manifest.name) for manifest in manifests)
    for one in manifests:
        print(f"{one.name:{wide}}  {_clock(one.taken)}  {one.size / MIB:9.1f} MiB  {one.files:6} files  windtunnel {one.version}")
    return 0


def _delete(options: argparse.Namespace, root: Path) -> int:
    snapshots.delete(root, options.name)
    print(f"deleted {options.name}")
    return 0


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
