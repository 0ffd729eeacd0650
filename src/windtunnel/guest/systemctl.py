"""`systemctl`: systemd's commands, words and exit codes over the init of the instance.

Why it exists: hooks, user data and people run it.

The invariant it keeps: what it does not do it refuses by name; exit codes are systemctl(1)'s (3 not active, 4 no such unit, 5 not loaded).
"""

from __future__ import annotations

import os
import sys
from typing import Any, NamedTuple

from windtunnel.guest import status_text, unitdir
from windtunnel.guest.control import NotBooted, Refused, ask

NOT_BOOTED = "System has not been booted with systemd as init system (PID 1). Can't operate.\nFailed to connect to bus: Host is down"
JOBS = {
    "start": "start", "stop": "stop", "restart": "restart", "reload": "reload", "try-restart": "restart", "condrestart": "restart",
    "reload-or-restart": "reload", "try-reload-or-restart": "reload", "force-reload": "reload",
}  # fmt: skip
IF_ACTIVE = ("try-restart", "condrestart", "try-reload-or-restart")
WITH_VALUE = {"-p": "property", "-t": "type", "-n": "lines", "-s": "signal", "-o": "output", "-H": "host", "-M": "machine"}
LONG_WITH_VALUE = ("property", "type", "state", "lines", "signal", "output", "kill-who", "kill-whom", "job-mode", "root", "host", "machine")
REFUSED_OPTIONS = ("host", "machine", "user", "global")


class Call(NamedTuple):
    """A parsed command line. options: long names to values ("" for those without)."""

    verb: str
    names: list[str]
    options: dict[str, str]

    def has(self, *names: str) -> bool:
        return any(name in self.options for name in names)


_SHORT = {"q": "quiet", "l": "full", "a": "all", "f": "force", "r": "recursive", "h": "help"}


def parse(argv: list[str]) -> Call:
    words: list[str] = []
    options: dict[str, str] = {}
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            words += rest
            break
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            if not equals and name in LONG_WITH_VALUE and rest:
                value = rest.pop(0)
            options[name] = f"{options[name]},{value}" if name in options and value else value
        elif word[:2] in WITH_VALUE:
            name = WITH_VALUE[word[:2]]
            value = word[2:] or (rest.pop(0) if rest else "")
            options[name] = f"{options[name]},{value}" if name in options else value
        elif word.startswith("-") and len(word) > 1:
            options.update({_SHORT.get(letter, letter): "" for letter in word[1:]})
        else:
            words.append(word)
    return Call(words[0] if words else "list-units", words[1:], options)


def run(call: Call) -> int:
    for name in REFUSED_OPTIONS:
        if call.has(name):
            return _fail(f"systemctl --{name} is not built into this image.")
    if call.options.get("root", "/").strip("/"):
        return _fail("systemctl --root is not built into this image.")
    if call.verb in JOBS:
        return _job(call)
    handler = _VERBS.get(call.verb)
    if handler is None:
        return _fail(f"Unknown command verb {call.verb}.")
    return handler(call)


def _fail(text: str, code: int = 1) -> int:
    sys.stderr.write(text + "\n")
    return code


def _say(call: Call, text: str) -> None:
    if not call.has("quiet"):
        sys.stderr.write(text + "\n")


# Jobs


def _job(call: Call) -> int:
    if not call.names:
        return _fail("Too few arguments.")
    names = [unitdir.full_name(name) for name in call.names]
    verb = JOBS[call.verb]
    if call.verb in IF_ACTIVE or call.verb in ("reload-or-restart", "force-reload"):
        state = ask("show", names)["units"]
        if call.verb in IF_ACTIVE:
            names = [name for name in names if state[name]["ActiveState"] == "active"]
        if verb == "reload":
            can_reload = [name for name in names if state[name].get("ActiveState") == "active" and _has_reload(name)]
            other = [name for name in names if name not in can_reload]
            return max(_submit(call, "reload", can_reload), _submit(call, "restart", other))
    return _submit(call, verb, names)


def _has_reload(name: str) -> bool:
    return bool(unitdir.find(name).sections.get("Service", {}).get("ExecReload"))


def _submit(call: Call, verb: str, names: list[str]) -> int:
    if not names:
        return 0
    errors = ask(verb, names, no_block=call.has("no-block"))["errors"]
    return max((_report(call, verb, name, errors.get(name, "")) for name in names), default=0)


_REASONS = {
    "exit-code": "the control process exited with error code",
    "signal": "a fatal signal was delivered to the control process",
    "timeout": "a timeout was exceeded",
    "protocol": "the service did not take the steps required by its unit configuration",
    "start-limit-hit": "start of the service was attempted too often",
}


def _report(call: Call, verb: str, name: str, error: str) -> int:
    if not error:
        return 0
    see = f'See "systemctl status {name}" and "journalctl -xeu {name}" for details.'
    if error == "dependency":
        _say(call, f"A dependency job for {name} failed. See 'journalctl -xe' for details.")
    elif error == "canceled":
        if verb == "reload":
            _say(call, f"Failed to reload {name}: Job type reload is not applicable for unit {name}.")
        else:
            _say(call, f"Job for {name} canceled.")
    elif error in _REASONS:
        _say(call, f"Job for {name} failed because {_REASONS[error]}.\n{see}")
    else:
        _say(call, f"Failed to {verb} {name}: {error}")
        return 5 if error.endswith("not found.") else 1
    return 1


# Unit files


def _enable(call: Call) -> int:
    code = 0
    names = []
    for name in map(unitdir.full_name, call.names):
        try:
            unit = unitdir.find(name)
        except unitdir.NotFound:
            return _fail(f"Failed to {call.verb} unit: Unit file {name} does not exist.")
        except unitdir.Masked:
            return _fail(f"Failed to {call.verb} unit: Unit file {unitdir.ETC}/{name} is masked.")
        names.append(unit.name)
        if call.verb in ("disable", "reenable"):
            for path in unitdir.disable(unit.name):
                _say(call, f'Removed "{path}".')
        if call.verb in ("enable", "reenable"):
            if not unitdir.install_links(unit, unit.name):
                _say(call, _NO_INSTALL)
            for path, target in unitdir.enable(unit, unit.name):
                _say(call, f"Created symlink {path} → {target}.")
    if call.has("now"):
        code = _submit(call, "start" if call.verb != "disable" else "stop", names)
    return code


_NO_INSTALL = """The unit files have no installation config (WantedBy=, RequiredBy=, UpheldBy=,
Also=, or Alias= settings in the [Install] section, and DefaultInstance= for
template units). This means they are not meant to be enabled or disabled using systemctl."""


def _mask(call: Call) -> int:
    for name in map(unitdir.full_name, call.names):
        if call.verb == "mask":
            path = f"{unitdir.ETC}/{name}"
            if os.path.isfile(path) and not os.path.islink(path):
                return _fail(f"Failed to mask unit: File {path} already exists.")
            _say(call, f"Created symlink {unitdir.mask(name)} → /dev/null.")
        else:
            path = unitdir.unmask(name)
            if path:
                _say(call, f'Removed "{path}".')
    if call.has("now") and call.verb == "mask":
        return _submit(call, "stop", [unitdir.full_name(name) for name in call.names])
    return 0


def _is_enabled(call: Call) -> int:
    code = 1
    for name in map(unitdir.full_name, call.names):
        try:
            state = unitdir.is_enabled(name)
        except unitdir.NotFound:
            _say(call, f"Failed to get unit file state for {name}: No such file or directory")
            continue
        if not call.has("quiet"):
            print(state)
        if state in ("enabled", "static", "alias"):
            code = 0
    return code


def _cat(call: Call) -> int:
    for name in map(unitdir.full_name, call.names):
        try:
            unit = unitdir.find(name)
        except (unitdir.NotFound, unitdir.Masked):
            return _fail(f"No files found for {name}.")
        for path in (unit.path, *unit.dropins):
            with open(path, encoding="utf-8", errors="replace") as stream:
                print(f"# {path}\n{stream.read()}")
    return 0


def _list_unit_files(call: Call) -> int:
    rows = []
    for name in unitdir.listed():
        if _of_type(call, name) and not name.partition("@")[2].startswith("."):
            try:
                rows.append((name, unitdir.is_enabled(name)))
            except unitdir.NotFound:
                continue
    print(f"{'UNIT FILE':<40} STATE")
    for name, state in rows:
        print(f"{name:<40} {state}")
    print(f"\n{len(rows)} unit files listed.")
    return 0


# State


def _is_state(call: Call) -> int:
    wanted = ("active", "reloading") if call.verb == "is-active" else ("failed",)
    units = ask("show", [unitdir.full_name(name) for name in call.names])["units"]
    states = [(unit["ActiveState"], unit["LoadState"]) for unit in units.values()]
    if not call.has("quiet"):
        for state, _ in states:
            print(state)
    if any(state in wanted for state, _ in states):
        return 0
    if call.verb == "is-failed":
        return 1
    return 4 if states and all(load == "not-found" for _, load in states) else 3


def _status(call: Call) -> int:
    if not call.names:
        return _list_units(call)
    answer = ask("show", [unitdir.full_name(name) for name in call.names])
    code = 0
    for index, (name, unit) in enumerate(answer["units"].items()):
        if unit["LoadState"] == "not-found":
            _fail(f"Unit {name} could not be found.")
            code = max(code, 4)
            continue
        if index:
            print()
        lines = int(call.options.get("lines") or "10")
        print("\n".join(status_text.status(unit, answer["now"], lines)))
        if unit["ActiveState"] not in ("active", "reloading"):
            code = max(code, 3)
    return code


def _show(call: Call) -> int:
    names = [unitdir.full_name(name) for name in call.names]
    answer = ask("show", names)
    wanted = [name for name in call.options.get("property", "").split(",") if name]
    for index, unit in enumerate(answer["units"].values()):
        properties = status_text.properties(unit, answer["now"])
        if index:
            print()
        for key in wanted or properties:
            if key in properties:
                print(properties[key] if call.has("value") else f"{key}={properties[key]}")
    return 0


def _of_type(call: Call, name: str) -> bool:
    wanted = [t for t in call.options.get("type", "").split(",") if t]
    return not wanted or name.rpartition(".")[2] in wanted


def _list_units(call: Call) -> int:
    units: dict[str, dict[str, Any]] = ask("list")["units"]
    wanted = [s for s in call.options.get("state", "").split(",") if s]
    if call.has("failed"):
        wanted = ["failed"]
    rows = []
    for name, unit in units.items():
        state, sub = unit["ActiveState"], unit["SubState"]
        shown = state in wanted or sub in wanted if wanted else state != "inactive" or call.has("all")
        if shown and _of_type(call, name) and (not call.names or name in map(unitdir.full_name, call.names)):
            rows.append((name, unit["LoadState"], state, sub, unit.get("Description", "")))
    print("\n".join(status_text.units_table(rows, legend=not call.has("no-legend"), bullets=not call.has("plain"))))
    return 0


def _kill(call: Call) -> int:
    whom = call.options.get("kill-whom") or call.options.get("kill-who") or "all"
    signal = (call.options.get("signal") or "TERM").removeprefix("SIG")
    ask("kill", [unitdir.full_name(name) for name in call.names], signal=signal, whom=whom)
    return 0


def _tell(call: Call) -> int:
    ask(call.verb, [unitdir.full_name(name) for name in call.names])
    return 0


def _environment(call: Call) -> int:
    ask(call.verb, call.names)
    return 0


def _power_off(call: Call) -> int:
    ask("list")
    if os.geteuid() != 0:
        return _fail(f"Call to {call.verb} failed: Access denied")
    os.kill(1, 15)
    return 0


def _is_system_running(call: Call) -> int:
    units = ask("list")["units"].values()
    state = "degraded" if any(unit["ActiveState"] == "failed" for unit in units) else "running"
    print(state)
    return 0 if state == "running" else 1


def _version(call: Call) -> int:
    print("systemd 252 (the init of Windtunnel's stock image)")
    return 0


_VERBS = {
    "enable": _enable, "disable": _enable, "reenable": _enable, "mask": _mask, "unmask": _mask, "is-enabled": _is_enabled, "cat": _cat,
    "list-unit-files": _list_unit_files, "is-active": _is_state, "is-failed": _is_state, "status": _status, "show": _show,
    "list-units": _list_units, "kill": _kill, "daemon-reload": _tell, "daemon-reexec": lambda call: 0, "reset-failed": _tell,
    "set-environment": _environment, "unset-environment": _environment,
    # Amazon Linux's preset is "disable": what a package brings starts when its user says so. Debian's packages ask for it.
    "preset": lambda call: 0,
    "poweroff": _power_off, "halt": _power_off, "is-system-running": _is_system_running,
}  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    call = parse(sys.argv[1:] if argv is None else argv)
    if call.has("version"):
        return _version(call)
    try:
        return run(call)
    except NotBooted:
        return _fail(NOT_BOOTED)
    except Refused as error:
        return _fail(f"Failed to {call.verb} {' '.join(call.names)}: {error}".replace("  ", " "))
    except PermissionError as error:
        return _fail(f"Failed to {call.verb} unit: Access denied: {error.filename}")
    except BrokenPipeError:
        return 1
