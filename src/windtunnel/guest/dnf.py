"""`dnf`, `yum` and `amazon-linux-extras` over apt, for a published list of packages (`packages.py`).

Why it exists: hooks, user data and cloud-config written for Amazon Linux install what they need by these commands.

The invariant it keeps: what is installed is really installed, and not started or enabled (Amazon Linux's preset); an unknown package fails
with dnf's words and exit code 1, and then nothing has been installed.
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from windtunnel.guest import packages

LOCK = "/run/lock/windtunnel-dnf"
INDEX = "/var/lib/apt/lists"
INDEX_AGE = 86400.0
APT = [
    "apt-get",
    "-y",
    "-q",
    "-o",
    "DPkg::Lock::Timeout=600",
    "-o",
    "Dpkg::Options::=--force-confold",
    "-o",
    "Dpkg::Use-Pty=0",
    "--no-install-recommends",
]
OWN_ARCHIVE = re.compile(r"(?:\A|/)aws-cfn-bootstrap-[^/]*\.rpm\Z")
"""AWS's own file of a package that the image has."""
ALIASES = {"erase": "remove", "autoremove": "remove", "update": "upgrade", "upgrade-minimal": "upgrade", "localinstall": "install"}
VALUES = ("--enablerepo", "--disablerepo", "--repo", "--releasever", "--setopt", "-c", "--exclude", "-x", "--installroot")


class Call(NamedTuple):
    """A parsed command line."""

    command: str
    names: list[str]
    quiet: bool = False
    skip_unknown: bool = False


class Plan(NamedTuple):
    """What an install comes to: Debian packages, names that the image has already, and the complaint that stops it all."""

    install: list[str]
    present: list[str]
    complaint: str


def parse(argv: list[str]) -> Call:
    words: list[str] = []
    quiet = skip = False
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word in VALUES and rest:
            rest.pop(0)
        elif word.startswith("-"):
            quiet = quiet or word in ("-q", "--quiet", "-yq", "-qy")
            skip = skip or word in ("--skip-broken", "--setopt=strict=0", "--skip-unavailable")
        else:
            words.append(word)
    command = words[0] if words else ""
    return Call(ALIASES.get(command, command), words[1:], quiet, skip)


def plan(names: list[str], skip_unknown: bool = False) -> Plan:
    """Pure: names in, Debian packages out."""
    install: dict[str, None] = {}
    present: list[str] = []
    unknown: list[str] = []
    for name in names:
        if name in packages.REFUSED:
            return Plan([], [], f"Error: {name} is not available in this image: {packages.REFUSED[name]}.")
        if OWN_ARCHIVE.search(name):
            present.append("aws-cfn-bootstrap")
            continue
        if "://" in name or name.endswith(".rpm"):
            return Plan([], [], f"Error: {name}: RPM files cannot be installed: this image is made of Debian packages.")
        group = packages.GROUPS.get(name.removeprefix("@").lower()) if name.startswith("@") else None
        found = group or packages.debian(name)
        if found is None:
            unknown.append(name)
        elif found:
            install.update(dict.fromkeys(found))
        else:
            present.append(name)
    if unknown and not skip_unknown:
        missing = "".join(f"No match for argument: {name}\n" for name in unknown)
        return Plan([], [], f"{missing}Error: Unable to find a match: {' '.join(unknown)}")
    return Plan(list(install), present, "")


def run(call: Call) -> int:
    handler = _COMMANDS.get(call.command)
    if not call.command or handler is None:
        wanted = call.command or "nothing"
        return _fail(f"No such command: {wanted}. This image's dnf has: {', '.join(sorted(_COMMANDS))}.")
    if call.command in _CHANGING:
        if os.geteuid() != 0:
            return _fail("Error: This command has to be run with superuser privileges (under the root user on most systems).")
        with open(LOCK, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return handler(call)
    return handler(call)


def _fail(text: str) -> int:
    sys.stderr.write(text + "\n")
    return 1


def _install(call: Call) -> int:
    planned = plan(call.names, call.skip_unknown)
    if planned.complaint:
        return _fail(planned.complaint)
    missing = [name for name in planned.install if not installed(name)]
    for name in [*planned.present, *(n for n in planned.install if n not in missing)]:
        print(f"Package {name} is already installed.")
    if not missing:
        print("Dependencies resolved.\nNothing to do.\nComplete!")
        return 0
    code = _refresh(call) or _guarded(lambda: _apt(["install", *missing], call.quiet))
    if code:
        return _fail(f"Error: apt-get could not install {' '.join(missing)}.")
    print("\nInstalled:\n" + "\n".join(f"  {name}" for name in missing) + "\n\nComplete!")
    return 0


def _guarded(install: Callable[[], int]) -> int:
    """Install, then take back what Debian does and Amazon Linux does not: a default page in the document root."""
    page = "/var/www/html/index.html"
    had_page = os.path.lexists(page)
    code = install()
    if not had_page and os.path.isfile(page) and _is_default(page):
        os.unlink(page)
    _like_httpd()
    return code


def _is_default(page: str) -> bool:
    with open(page, "rb") as stream:
        return b"Debian Default Page" in stream.read(4096)


def _like_httpd() -> None:
    """httpd's names for apache2's places."""
    if not os.path.isdir("/etc/apache2"):
        return
    os.makedirs("/etc/httpd/conf", exist_ok=True)
    links = {
        "/etc/httpd/conf.d": "/etc/apache2/conf-enabled",
        "/etc/httpd/conf/httpd.conf": "/etc/apache2/apache2.conf",
        "/etc/httpd/logs": "/var/log/apache2",
        "/var/log/httpd": "/var/log/apache2",
        "/usr/sbin/httpd": "/usr/sbin/apache2ctl",
    }
    for link, target in links.items():
        if not os.path.lexists(link):
            os.symlink(target, link)


def installed(name: str) -> bool:
    """Whether Debian's package of that name is there, whole."""
    query = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", name], capture_output=True, text=True)
    return query.returncode == 0 and query.stdout == "install ok installed"


def _refresh(call: Call) -> int:
    """Get the package index if there is none or it is old."""
    stamp = f"{INDEX}/windtunnel-refreshed"
    try:
        if time.time() - os.stat(stamp).st_mtime < INDEX_AGE:
            return 0
    except FileNotFoundError:
        pass
    code = _apt(["update", "-o", "APT::Update::Error-Mode=any"], quiet=True)
    if code:
        return _fail("Error: Failed to download metadata: apt-get update failed; are the package archives reachable?")
    with open(stamp, "w"):
        return 0


def _apt(arguments: list[str], quiet: bool) -> int:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    sys.stdout.flush()
    done = subprocess.run(
        [*APT, *arguments], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if quiet else None, stderr=subprocess.STDOUT
    )
    if done.returncode and quiet:
        sys.stderr.buffer.write(done.stdout)
    return done.returncode


def _remove(call: Call) -> int:
    planned = plan(call.names)
    here = [name for name in planned.install if installed(name)]
    if not here:
        for name in call.names:
            print(f"No match for argument: {name}")
        print("No packages marked for removal.\nDependencies resolved.\nNothing to do.\nComplete!")
        return 0
    code = _apt(["remove", *here], call.quiet)
    print("Complete!" if code == 0 else "")
    return 1 if code else 0


def _upgrade(call: Call) -> int:
    planned = plan(call.names)
    if planned.complaint:
        return _fail(planned.complaint)
    if call.names and not planned.install:  # `yum update -y aws-cfn-bootstrap`: what the image itself brings is as new as the image
        print("Dependencies resolved.\nNothing to do.\nComplete!")
        return 0
    only = ["install", "--only-upgrade", *planned.install] if call.names else ["upgrade"]
    code = _refresh(call) or _apt(only, call.quiet)
    if code == 0:
        print("Complete!")
    return 1 if code else 0


def _make_cache(call: Call) -> int:
    if _refresh(call):
        return 1
    print("Metadata cache created.")
    return 0


def _clean(call: Call) -> int:
    return subprocess.run(["apt-get", "clean"]).returncode


def _list(call: Call) -> int:
    """`list installed [name…]`: Debian's names; `list [available]`: what can be installed."""
    which, names = (
        (call.names[0], call.names[1:]) if call.names and call.names[0] in ("installed", "available", "--installed") else ("", call.names)
    )
    if which in ("installed", "--installed"):
        wanted = [package for name in names for package in packages.debian(name) or [name]]
        done = subprocess.run(["dpkg-query", "-W", "-f", "${binary:Package} ${Version} @debian\n", *wanted], capture_output=True, text=True)
        if names and not done.stdout:
            return _fail("Error: No matching Packages to list")
        print("Installed Packages\n" + done.stdout, end="")
        return 0
    shown = [name for name in packages.known() if not names or name in names]
    if names and not shown:
        return _fail("Error: No matching Packages to list")
    print("Available Packages\n" + "\n".join(shown))
    return 0


def _group_install(call: Call) -> int:
    return _install(call._replace(names=[f"@{' '.join(call.names)}" if len(call.names) == 1 else f"@{name}" for name in call.names]))


_COMMANDS: dict[str, Callable[[Call], int]] = {
    "install": _install, "reinstall": _install, "remove": _remove, "upgrade": _upgrade, "makecache": _make_cache, "clean": _clean, "list": _list,
    "check-update": lambda call: 0, "groupinstall": _group_install,
}  # fmt: skip
_CHANGING = ("install", "reinstall", "remove", "upgrade", "makecache", "groupinstall")


def extras(argv: list[str]) -> int:
    """`amazon-linux-extras`: topics of Amazon Linux 2."""
    words = [word for word in argv if not word.startswith("-")]
    command, topics = (words[0], words[1:]) if words else ("list", [])
    if command == "list" or not words:
        for number, topic in enumerate(sorted(packages.TOPICS)):
            print(f"{number:3}  {topic}")
        return 0
    if command not in ("install", "enable"):
        return _fail(f"amazon-linux-extras {command} is not built into this image; it has list, enable and install.")
    for topic in topics:
        if topic.partition("=")[0] not in packages.TOPICS:
            return _fail(f"Topic {topic} is not found.")
    if command == "enable":
        return 0
    names = [name for topic in topics for name in packages.TOPICS[topic.partition("=")[0]]]
    return run(Call("install", names))


def main() -> int:
    name = os.path.basename(sys.argv[0])
    try:
        return extras(sys.argv[1:]) if name == "amazon-linux-extras" else run(parse(sys.argv[1:]))
    except BrokenPipeError:
        return 1
