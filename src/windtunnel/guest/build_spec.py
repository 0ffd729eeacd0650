"""The buildspec: its grammar, read with the line of every mistake (CodeBuild user guide, "Build specification reference").

Invariant: the parser looks at what the grammar names, to the depth that it names, and follows no alias further: a YAML bomb costs what
its text is long. Nothing is left out in silence: sections that do nothing here are named in `notes`.
"""

from __future__ import annotations

import re
import sys
from typing import Any, NamedTuple

PHASES = ("install", "pre_build", "build", "post_build")
MAX_BYTES = 1 << 20
_DIST_PACKAGES = "/usr/lib/python3/dist-packages"
_RETRY = re.compile(r"RETRY(?:-(\d+))?(?:-(.+))?\Z", re.DOTALL)
_TOP = {"version", "run-as", "env", "proxy", "batch", "phases", "reports", "artifacts", "cache"}


class SpecError(Exception):
    """A buildspec that is wrong; the text says where."""


class OnFailure(NamedTuple):
    """action: ABORT, CONTINUE, RETRY or "" (the default). tries: of RETRY; pattern: of the failures that are tried again."""

    action: str = ""
    tries: int = 0
    pattern: str = ""


class PhaseSpec(NamedTuple):
    commands: list[str] = []
    finally_: list[str] = []
    run_as: str = ""
    on_failure: OnFailure = OnFailure()
    runtimes: dict[str, str] = {}


class ArtifactSpec(NamedTuple):
    files: list[str]
    name: str = ""
    base: str = ""
    discard_paths: bool = False
    exclude: list[str] = []
    symlinks: bool = False
    prefix: str = ""


class BuildSpec(NamedTuple):
    """parameters: variable -> Parameter Store name; secrets: variable -> Secrets Manager reference. secondary: by identifier."""

    version: str
    phases: dict[str, PhaseSpec]
    shell: str = "bash"
    run_as: str = ""
    variables: dict[str, str] = {}
    parameters: dict[str, str] = {}
    secrets: dict[str, str] = {}
    exported: list[str] = []
    artifacts: ArtifactSpec | None = None
    secondary: dict[str, ArtifactSpec] = {}
    notes: list[str] = []


def parse(text: str) -> BuildSpec:
    """The buildspec of a YAML text. Raises SpecError in CodeBuild's words where they are known."""
    root = Reader(compose(text))
    if not root.is_mapping:
        raise SpecError("Invalid buildspec: a mapping with version and phases is expected")
    version = root.text("version")
    if version not in ("0.2", "0.1", "0.20", "0.10"):
        raise SpecError(
            "Invalid buildspec version, must be one of 0.1, 0.2" if version else "Invalid buildspec version: version is missing"
        )
    env = root.at("env")
    artifacts = root.at("artifacts")
    notes = [f"{name} is not run by Windtunnel yet and was left out" for name in ("reports", "cache") if root.at(name).there]
    notes += [f"Found possible syntax errors in buildspec: unknown key {key}" for key in root.names() if key not in _TOP]
    return BuildSpec(
        version=version[:3],
        phases=_phases(root.at("phases")),
        shell=_shell(env.text("shell")),
        run_as=root.text("run-as"),
        variables=env.at("variables").texts(),
        parameters=env.at("parameter-store").texts(),
        secrets=env.at("secrets-manager").texts(),
        exported=env.at("exported-variables").strings("exported-variables"),
        artifacts=_artifacts(artifacts) if artifacts.at("files").there else None,
        secondary={name: _artifacts(one) for name, one in artifacts.at("secondary-artifacts").items()},
        notes=notes,
    )


def _shell(name: str) -> str:
    known = {"": "bash", "bash": "bash", "/bin/bash": "bash", "sh": "sh", "/bin/sh": "sh"}
    if name not in known:
        raise SpecError(f"Unsupported shell: {name}. This build image has the following shells: bash, sh")
    return known[name]


def _phases(phases: Reader) -> dict[str, PhaseSpec]:
    if not phases.there:
        raise SpecError("Invalid buildspec: phases must be specified")
    if not phases.is_mapping:
        raise SpecError(f"Expected phases to be a map of phases at line {phases.line}")
    for name in phases.names():
        if name not in PHASES:
            raise SpecError(f"Invalid phase name: {name}. Expected: {','.join(PHASES)}, at line {phases.at(name).line}")
    return {name: _phase(name, phase) for name, phase in phases.items()}


def _phase(name: str, phase: Reader) -> PhaseSpec:
    if phase.is_empty:
        return PhaseSpec()
    if not phase.is_mapping:
        raise SpecError(f"Expected phase {name} to be a map at line {phase.line}")
    if phase.at("steps").there:
        raise SpecError(f"phase {name}: steps are not run by Windtunnel, at line {phase.at('steps').line}")
    return PhaseSpec(
        commands=phase.at("commands").strings("Commands"),
        finally_=phase.at("finally").strings("Finally"),
        run_as=phase.text("run-as"),
        on_failure=_on_failure(phase),
        runtimes=phase.at("runtime-versions").texts(),
    )


def _on_failure(phase: Reader) -> OnFailure:
    text = phase.text("on-failure")
    if text in ("", "ABORT", "CONTINUE"):
        return OnFailure(text)
    found = _RETRY.match(text)
    if found is None:
        raise SpecError(f"Invalid value for on-failure: {text}. Expected: ABORT, CONTINUE or RETRY, at line {phase.at('on-failure').line}")
    return OnFailure("RETRY", int(found[1] or 3), found[2] or "")


def _artifacts(node: Reader) -> ArtifactSpec:
    return ArtifactSpec(
        files=node.at("files").strings("files"),
        name=node.text("name"),
        base=node.text("base-directory"),
        discard_paths=node.yes("discard-paths"),
        exclude=node.at("exclude-paths").strings("exclude-paths"),
        symlinks=node.yes("enable-symlinks"),
        prefix=node.text("s3-prefix"),
    )


# -- YAML ---------------------------------------------------------------------------------------------------------------------


def compose(text: str) -> Any:
    """The node tree of a YAML text, scalars as they are written. By PyYAML's own parser: libyaml's crashes on deep nesting."""
    if len(text) > MAX_BYTES:
        raise SpecError(f"Invalid buildspec: it is longer than {MAX_BYTES} bytes")
    if _DIST_PACKAGES not in sys.path:
        sys.path.append(_DIST_PACKAGES)
    import yaml

    try:
        return yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark is not None else ""
        raise SpecError(f"yaml: {where}{error.problem or error.context}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise SpecError(f"yaml: {error}") from error


class Reader:
    """A YAML node, or the absence of one, read by the grammar."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self._children: dict[str, Any] | None = None

    @property
    def there(self) -> bool:
        return self._node is not None

    @property
    def is_mapping(self) -> bool:
        return getattr(self._node, "id", "") == "mapping"

    @property
    def is_empty(self) -> bool:
        return self._node is None or (self._node.id == "scalar" and self._node.value.strip() in ("", "~", "null"))

    @property
    def line(self) -> int:
        return self._node.start_mark.line + 1 if self._node is not None else 0

    def _mapping(self) -> dict[str, Any]:
        if self._children is None:
            self._children = _pairs(self._node, {}) if self.is_mapping else {}
        return self._children

    def names(self) -> list[str]:
        return list(self._mapping())

    def at(self, name: str) -> Reader:
        return Reader(self._mapping().get(name))

    def items(self) -> list[tuple[str, Reader]]:
        return [(name, Reader(node)) for name, node in self._mapping().items()]

    def text(self, name: str) -> str:
        """A scalar member; "" when it is not there."""
        found = self.at(name)
        if found.is_empty:
            return ""
        if found._node.id != "scalar":
            raise SpecError(f"Expected {name} to be of string type: found subkeys instead at line {found.line}")
        return str(found._node.value)

    def yes(self, name: str) -> bool:
        return self.text(name).lower() in ("yes", "true", "on")

    def texts(self) -> dict[str, str]:
        """A map of scalars."""
        if self.there and not self.is_empty and not self.is_mapping:
            raise SpecError(f"Expected a map of strings at line {self.line}")
        return {name: self.text(name) for name in self.names()}

    def strings(self, what: str) -> list[str]:
        """A list of scalars, or one scalar alone."""
        if self.is_empty:
            return []
        if self._node.id == "scalar":
            return [str(self._node.value)]
        if self._node.id != "sequence":
            raise SpecError(f"Expected {what} to be a list of strings at line {self.line}")
        found = []
        for number, node in enumerate(self._node.value):
            if node.id != "scalar":
                line = node.start_mark.line + 1
                raise SpecError(
                    f"Expected {what}[{number}] to be of string type: found subkeys instead at line {line}, "
                    f"value of the key tag on line {line - 1} might be empty"
                )
            found.append(str(node.value))
        return found


def _pairs(node: Any, seen: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """A mapping's members; those merged with `<<` come first and are overridden. Each node is read once, however often it is named."""
    if id(node) in seen:
        return seen[id(node)]
    seen[id(node)] = {}
    merged: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for key, value in node.value:
        if key.id != "scalar":
            raise SpecError(f"a key must be a string, at line {key.start_mark.line + 1}")
        if key.value == "<<":
            for source in value.value if value.id == "sequence" else [value]:
                if source.id == "mapping":
                    merged = {**_pairs(source, seen), **merged}
        else:
            own[str(key.value)] = value
    seen[id(node)] = {**merged, **own}
    return seen[id(node)]
