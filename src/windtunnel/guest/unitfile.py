"""systemd unit files as data: parsing, merging of drop-ins, and what a [Service] section asks for.

Why it exists: hooks and user data write unit files for systemd; the init of an instance (`init.py`) obeys them.

The invariant it keeps: pure, text in and data out. A directive that is not understood is never dropped in silence: it is in
`Service.unsupported`, which is logged when the unit starts.

Source: systemd.unit(5), systemd.service(5), systemd.exec(5), systemd.kill(5), systemd.syntax(7).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

Sections = dict[str, dict[str, list[str]]]

INFINITY = float("inf")
TYPES = ("simple", "exec", "notify", "notify-reload", "idle", "forking", "oneshot")
RESTARTS = ("no", "always", "on-success", "on-failure", "on-abnormal", "on-abort", "on-watchdog")
KILL_MODES = ("control-group", "mixed", "process", "none")
CLEAN_SIGNALS = ("HUP", "INT", "TERM", "PIPE")

# Those that a sandbox has, by their numbers in linux/capability.h.
CAPABILITY = {
    "CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_FOWNER": 3, "CAP_FSETID": 4, "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7,
    "CAP_SETPCAP": 8, "CAP_NET_BIND_SERVICE": 10, "CAP_NET_RAW": 13, "CAP_SYS_CHROOT": 18, "CAP_MKNOD": 27, "CAP_AUDIT_WRITE": 29,
    "CAP_SETFCAP": 31,
}  # fmt: skip

# What acts, or only describes. Everything else in a [Service] section is logged as not enforced.
# fmt: off
_SERVICE = frozenset({
    "Type", "ExecStartPre", "ExecStart", "ExecStartPost", "ExecReload", "ExecStop", "ExecStopPost", "Restart", "RestartSec", "User", "Group",
    "WorkingDirectory", "Environment", "EnvironmentFile", "PIDFile", "RemainAfterExit", "TimeoutSec", "TimeoutStartSec", "TimeoutStopSec",
    "KillMode", "KillSignal", "SuccessExitStatus", "RestartPreventExitStatus", "StandardInput", "StandardOutput", "StandardError",
    "SyslogIdentifier", "UMask", "RuntimeDirectory", "RuntimeDirectoryMode", "StateDirectory", "StateDirectoryMode", "CacheDirectory",
    "CacheDirectoryMode", "LogsDirectory", "LogsDirectoryMode", "LimitNOFILE", "SupplementaryGroups", "StartLimitInterval", "StartLimitBurst",
    "NotifyAccess", "UnsetEnvironment", "AmbientCapabilities",
})
# fmt: on


class BadUnit(ValueError):
    """The unit file cannot be obeyed; the text says why, as `systemctl` prints it."""


class Command(NamedTuple):
    """One Exec line. words: unexpanded. optional: its failure does not count (`-`). privileged: runs as root, whatever User= says (`+`, `!`)."""

    words: tuple[str, ...]
    optional: bool = False
    privileged: bool = False


class Service(NamedTuple):
    """What a .service unit asks for. Times in seconds."""

    name: str
    description: str
    type: str
    start_pre: tuple[Command, ...]
    start: tuple[Command, ...]
    start_post: tuple[Command, ...]
    reload: tuple[Command, ...]
    stop: tuple[Command, ...]
    stop_post: tuple[Command, ...]
    restart: str
    restart_sec: float
    remain_after_exit: bool
    pid_file: str
    start_timeout: float
    stop_timeout: float
    kill_mode: str
    kill_signal: str
    clean_codes: frozenset[str]
    prevent_restart: frozenset[str]
    limit_interval: float
    limit_burst: int
    user: str
    group: str
    groups: tuple[str, ...]
    directory: str
    environment: tuple[str, ...]
    environment_files: tuple[str, ...]
    unset: tuple[str, ...]
    stdout: str
    stderr: str
    identifier: str
    umask: int
    nofile: int
    capabilities: tuple[str, ...]
    directories: tuple[tuple[str, int], ...]
    requires: frozenset[str]
    wants: frozenset[str]
    after: frozenset[str]
    before: frozenset[str]
    part_of: frozenset[str]
    conditions: tuple[tuple[str, str], ...]
    unsupported: tuple[str, ...]


def parse(texts: Iterable[str]) -> Sections:
    """A unit file and its drop-ins, in order: a repeated directive appends, an empty one starts anew."""
    sections: Sections = {}
    for text in texts:
        current: dict[str, list[str]] = {}
        for line in _lines(text):
            if line.startswith("[") and line.endswith("]"):
                current = sections.setdefault(line[1:-1], {})
                continue
            key, equals, value = line.partition("=")
            if not equals:
                continue
            values = current.setdefault(key.strip(), [])
            if value.strip():
                values.append(value.strip())
            else:
                values.clear()
    return sections


def _lines(text: str) -> Iterable[str]:
    """Logical lines: comments gone, lines that end in a backslash joined."""
    joined = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith(("#", ";")) or (not line and not joined):
            continue
        if line.endswith("\\"):
            joined += line[:-1] + " "
            continue
        yield (joined + line).strip()
        joined = ""
    if joined:
        yield joined.strip()


def service(name: str, sections: Sections) -> Service:
    """Read the unit `name` (with its suffix). Raises BadUnit."""
    reader = _Reader(name, sections)
    kind = reader.last("Service", "Type") or ("simple" if reader.all("Service", "ExecStart") else "oneshot")
    if kind not in TYPES:
        raise BadUnit(f"{name}: Type={kind} is not run by this image's init; it runs {', '.join(TYPES)}.")
    start = reader.commands("ExecStart")
    if not start and (kind != "oneshot" or not reader.all("Service", "ExecStop")):
        raise BadUnit(f"{name}: Service has no ExecStart= setting. Refusing.")
    if len(start) > 1 and kind != "oneshot":
        raise BadUnit(f"{name}: Service has more than one ExecStart= setting, which is only allowed for Type=oneshot services. Refusing.")
    restart = reader.choice("Restart", RESTARTS, "no")
    if kind == "oneshot" and restart in ("always", "on-success"):
        raise BadUnit(
            f"{name}: Service has Restart= set to either always or on-success, which isn't allowed for Type=oneshot services. Refusing."
        )
    timeout = reader.last("Service", "TimeoutSec")
    start_default = timeout or ("infinity" if kind == "oneshot" else "90")
    stdout = reader.last("Service", "StandardOutput") or "journal"
    ambient = reader.words("Service", "AmbientCapabilities")
    return Service(
        name=name,
        description=reader.last("Unit", "Description") or name,
        type=kind,
        start_pre=reader.commands("ExecStartPre"),
        start=start,
        start_post=reader.commands("ExecStartPost"),
        reload=reader.commands("ExecReload"),
        stop=reader.commands("ExecStop"),
        stop_post=reader.commands("ExecStopPost"),
        restart=restart,
        restart_sec=reader.seconds("Service", "RestartSec", "0.1"),
        remain_after_exit=reader.boolean("RemainAfterExit"),
        pid_file=_under_run(reader.last("Service", "PIDFile")),
        start_timeout=reader.seconds("Service", "TimeoutStartSec", start_default) or INFINITY,
        stop_timeout=reader.seconds("Service", "TimeoutStopSec", timeout or "90") or INFINITY,
        kill_mode=reader.choice("KillMode", KILL_MODES, "control-group"),
        kill_signal=(reader.last("Service", "KillSignal") or "SIGTERM").removeprefix("SIG"),
        clean_codes=frozenset(s.removeprefix("SIG") for s in reader.words("Service", "SuccessExitStatus")),
        prevent_restart=frozenset(s.removeprefix("SIG") for s in reader.words("Service", "RestartPreventExitStatus")),
        limit_interval=reader.seconds("Unit", "StartLimitIntervalSec", reader.last("Service", "StartLimitInterval") or "10"),
        limit_burst=int(reader.last("Unit", "StartLimitBurst") or reader.last("Service", "StartLimitBurst") or "5"),
        user=reader.last("Service", "User"),
        group=reader.last("Service", "Group"),
        groups=tuple(reader.words("Service", "SupplementaryGroups")),
        directory=reader.last("Service", "WorkingDirectory"),
        environment=tuple(word for line in reader.all("Service", "Environment") for word in split_words(line)),
        environment_files=tuple(reader.all("Service", "EnvironmentFile")),
        unset=tuple(reader.words("Service", "UnsetEnvironment")),
        stdout=stdout,
        stderr=reader.last("Service", "StandardError") or ("inherit" if stdout != "null" else "journal"),
        identifier=reader.last("Service", "SyslogIdentifier"),
        umask=int(reader.last("Service", "UMask") or "0022", 8),
        nofile=_limit(reader.last("Service", "LimitNOFILE")),
        capabilities=tuple(name for name in ambient if name in CAPABILITY),
        directories=reader.directories(),
        requires=reader.names("Requires", "Requisite", "BindsTo"),
        wants=reader.names("Wants"),
        after=reader.names("After"),
        before=reader.names("Before"),
        part_of=reader.names("PartOf", "BindsTo", "Requires"),
        conditions=reader.conditions(),
        unsupported=(
            *(key for key in sections.get("Service", {}) if key not in _SERVICE and not key.startswith("X-")),
            *(f"AmbientCapabilities={name}" for name in ambient if name not in CAPABILITY),
        ),
    )


class _Reader:
    """Access to a unit's directives, with its specifiers replaced."""

    def __init__(self, name: str, sections: Sections) -> None:
        self.name = name
        self.sections = sections

    def all(self, section: str, key: str) -> list[str]:
        return [specifiers(value, self.name) for value in self.sections.get(section, {}).get(key, [])]

    def last(self, section: str, key: str) -> str:
        values = self.all(section, key)
        return values[-1] if values else ""

    def words(self, section: str, key: str) -> list[str]:
        return [word for value in self.all(section, key) for word in value.split()]

    def names(self, *keys: str) -> frozenset[str]:
        return frozenset(name for key in keys for name in self.words("Unit", key))

    def boolean(self, key: str) -> bool:
        return self.last("Service", key).lower() in ("1", "yes", "true", "on")

    def choice(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.last("Service", key) or default
        return value if value in allowed else default

    def seconds(self, section: str, key: str, default: str) -> float:
        value = self.last(section, key) or default
        try:
            return seconds(value)
        except ValueError:
            raise BadUnit(f"{self.name}: {key}={value} is not a time span.") from None

    def commands(self, key: str) -> tuple[Command, ...]:
        found = []
        for line in self.all("Service", key):
            words = split_words(line)
            for part in _split_list(words):
                stripped = part[0].lstrip("-@:+!")
                prefix = part[0][: len(part[0]) - len(stripped)]
                # "@" says that the second word is argv[0]; nobody here looks at argv[0], so it is left out.
                rest = part[2:] if "@" in prefix else part[1:]
                found.append(Command((stripped, *rest), "-" in prefix, "+" in prefix or "!" in prefix))
        return tuple(found)

    def directories(self) -> tuple[tuple[str, int], ...]:
        bases = {"RuntimeDirectory": "/run", "StateDirectory": "/var/lib", "CacheDirectory": "/var/cache", "LogsDirectory": "/var/log"}
        found = []
        for key, base in bases.items():
            mode = int(self.last("Service", f"{key}Mode") or "0755", 8)
            found += [(f"{base}/{name}", mode) for name in self.words("Service", key)]
        return tuple(found)

    def conditions(self) -> tuple[tuple[str, str], ...]:
        found = self.sections.get("Unit", {})
        return tuple((key, value) for key in found if key.startswith(("Condition", "Assert")) for value in self.all("Unit", key))


def specifiers(text: str, name: str) -> str:
    """Replace %n, %i and the like for the unit `name`."""
    if "%" not in text:
        return text
    stem = name.rpartition(".")[0]
    prefix, _, instance = stem.partition("@")
    known = {
        "n": name, "N": stem, "p": prefix, "P": prefix, "i": instance, "I": instance.replace("-", "/"),
        "t": "/run", "S": "/var/lib", "C": "/var/cache", "L": "/var/log", "E": "/etc", "T": "/tmp", "V": "/var/tmp",
        "h": "/root", "u": "root", "U": "0", "%": "%",
    }  # fmt: skip
    out, rest = "", text
    while "%" in rest:
        head, _, rest = rest.partition("%")
        out += head + known.get(rest[:1], "%" + rest[:1])
        rest = rest[1:]
    return out + rest


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "s": " ", "\\": "\\", '"': '"', "'": "'", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def split_words(line: str) -> list[str]:
    """Words by systemd's quoting: '…' and "…", C escapes with backslashes."""
    words: list[str] = []
    word, quote, inside, i = "", "", False, 0
    while i < len(line):
        char = line[i]
        if char == "\\" and i + 1 < len(line):
            word += _ESCAPES.get(line[i + 1], "\\" + line[i + 1])
            inside, i = True, i + 1
        elif quote:
            if char == quote:
                quote = ""
            else:
                word += char
        elif char in "'\"":
            quote, inside = char, True
        elif char in " \t\n":
            if inside:
                words.append(word)
            word, inside = "", False
        else:
            word, inside = word + char, True
        i += 1
    if inside:
        words.append(word)
    return words


def _split_list(words: list[str]) -> Iterable[list[str]]:
    """A lone `;` separates commands on one line."""
    part: list[str] = []
    for word in [*words, ";"]:
        if word != ";":
            part.append(word)
        elif part:
            yield part
            part = []


def expand(words: Iterable[str], env: Mapping[str, str]) -> list[str]:
    """Put variables into a command's words: `$NAME` alone becomes words, `${NAME}` stays within its word, `$$` is a dollar."""
    out: list[str] = []
    for word in words:
        if word.startswith("$") and word[1:].replace("_", "a").isalnum():
            out += env.get(word[1:], "").split()
        else:
            out.append(_braces(word, env))
    return out


def _braces(word: str, env: Mapping[str, str]) -> str:
    out, rest = "", word
    while "$" in rest:
        head, _, rest = rest.partition("$")
        out += head
        if rest.startswith("$"):
            out, rest = out + "$", rest[1:]
        elif rest.startswith("{") and "}" in rest:
            name, _, rest = rest[1:].partition("}")
            out += env.get(name, "")
        else:
            out += "$"
    return out + rest


def environment_file(text: str) -> dict[str, str]:
    """`NAME=value` lines; quotes around a value are taken off."""
    found: dict[str, str] = {}
    for line in _lines(text):
        name, equals, value = line.removeprefix("export ").partition("=")
        if equals and name.strip():
            value = value.strip()
            if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
                value = value[1:-1]
            found[name.strip()] = value
    return found


_UNITS = {
    "us": 1e-6, "usec": 1e-6, "ms": 1e-3, "msec": 1e-3, "": 1, "s": 1, "sec": 1, "second": 1, "seconds": 1,
    "m": 60, "min": 60, "minute": 60, "minutes": 60, "h": 3600, "hr": 3600, "hour": 3600, "hours": 3600, "d": 86400, "day": 86400, "days": 86400,
}  # fmt: skip


def seconds(text: str) -> float:
    """A time span: `90`, `1min 30s`, `500ms`, `infinity`. Raises ValueError."""
    if text.strip() == "infinity":
        return INFINITY
    total, number, unit = 0.0, "", ""
    for char in text.replace(" ", "") + "0":
        if char.isdigit() or char == ".":
            if unit:
                total += float(number) * _scale(unit)
                number, unit = "", ""
            number += char
        else:
            unit += char
    number = number[:-1]
    return total + (float(number) if number else 0.0)


def _scale(unit: str) -> float:
    if unit not in _UNITS:
        raise ValueError(unit)
    return _UNITS[unit]


def _under_run(path: str) -> str:
    return path if not path or path.startswith("/") else f"/run/{path}"


def _limit(text: str) -> int:
    """LimitNOFILE's soft value; 0: not set."""
    value = text.partition(":")[0]
    return int(value) if value.isdigit() else 0
