"""The house's rules, read from the source: who may import whom, and what may be written where.

The table is ARCHITECTURE's. A new part is put into it on purpose; one that is missing fails.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "windtunnel"
MAX_LINES = 600

ENGINE = {"kernel", "store"}
LIBRARIES = {"kernel", "wire", "store", "compute", "iam", "jobs", "events", "telemetry", "provision", "helpers"}
CLIENT = {"kernel", "wire", "store", "compute", "iam", "telemetry"}
EVERYTHING = {"*"}
MAY_IMPORT = {
    "kernel": set(),
    "wire": {"kernel"},
    "store": {"kernel"},
    "compute": {"kernel"},
    "iam": {"kernel"},
    "provision": {"kernel", "wire"},
    "helpers": set(),
    "jobs": ENGINE,
    "events": ENGINE,
    "telemetry": ENGINE,
    "upkeep": ENGINE | {"__version__"},
    "services": LIBRARIES,
    "gateways": CLIENT,
    "console": CLIENT,
    "labs": CLIENT | {"commands"},
    "guest": set(),
    "settings": set(),
    "tls": set(),
    "app": EVERYTHING,
    "assemble": EVERYTHING,
    "server": EVERYTHING,
    "commands": EVERYTHING,
    "cli": {"commands"},
    "__main__": {"cli"},
    "__init__": set(),
}
EDGES = {"wire/core.py", "jobs/engine.py", "events/pump.py", "helpers/worker.py"}
"""The only places where whatever goes wrong is caught: a request's, a job's, a delivery's and a helper's end."""
IN_THE_IMAGE = {"yaml"}
"""What the stock image has beside the standard library (python3-yaml): imported when it is needed, never by what every boot runs."""
HANDS_OVER = {"store/writer.py", "jobs/engine.py"}
"""Catches everything in order to give it to whoever waits."""


def is_a_labs_application(path: Path) -> bool:
    """What a lab pushes into its cloud is the lab's material, not the house."""
    return path.is_relative_to(SOURCE / "labs") and "app" in path.relative_to(SOURCE).parts


MODULES = [path for path in sorted(SOURCE.rglob("*.py")) if not is_a_labs_application(path)]
TEST_MODULES = sorted(TESTS.rglob("*.py"))


class Import(NamedTuple):
    name: str
    line: int


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imports(path: Path) -> Iterator[Import]:
    """Every name that a module imports, at whatever depth: `from a.b import c` is `a.b.c`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative imports hide where a thing comes from"
            yield from (Import(f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def part_of(path: Path) -> str:
    relative = path.relative_to(SOURCE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def violations(path: Path) -> list[str]:
    """The imports by which a module breaks the table."""
    part, may = part_of(path), MAY_IMPORT[part_of(path)]
    relative = path.relative_to(SOURCE)
    found = []
    for name, line in imports(path):
        steps = name.split(".")
        if steps[0] != "windtunnel":
            continue
        target = steps[1] if len(steps) > 1 else "__init__"
        if target == "services" and part == "services":
            if len(relative.parts) > 2 and (len(steps) < 3 or steps[2] != relative.parts[1]):
                found.append(f"{relative}:{line} imports another service: {name}")
        elif target != part and "*" not in may and target not in may:
            found.append(f"{relative}:{line} imports {name}; {part} may import {', '.join(sorted(may)) or 'nothing of ours'}")
    return found


def test_every_part_is_in_the_table() -> None:
    assert {part_of(path) for path in MODULES} <= set(MAY_IMPORT)


@pytest.mark.parametrize("part", sorted(MAY_IMPORT))
def test_who_imports_whom(part: str) -> None:
    broken = [line for path in MODULES if part_of(path) == part for line in violations(path)]
    assert broken == []


@pytest.mark.parametrize("package", ["guest", "compute/shim"])
def test_what_runs_inside_a_sandbox_is_the_standard_library_and_itself(package: str) -> None:
    known = sys.stdlib_module_names | IN_THE_IMAGE
    own = "windtunnel." + package.replace("/", ".")
    inside = [path for path in MODULES if path.is_relative_to(SOURCE / package)]
    assert inside
    foreign = [
        f"{path.relative_to(SOURCE)}:{line} imports {name}"
        for path in inside
        for name, line in imports(path)
        if name.split(".")[0] not in known and not name.startswith(own)
    ]
    assert foreign == []


LIGHT = """
import sys
import windtunnel.assemble, windtunnel.gateways.git_http, windtunnel.gateways.metadata, windtunnel.server
from windtunnel.app import load_services
load_services()
print(*{name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names, *HEAVY & set(sys.modules))
"""
HEAVY = {"http.client", "email.message", "urllib.request", "xml.sax", "xml.etree.ElementTree", "zipfile", "multiprocessing"}
"""Of the standard library: milliseconds each, for what few requests need."""


def test_a_server_that_does_nothing_has_loaded_no_heavy_library() -> None:
    """What start-up and idle memory cost: uvicorn comes with the listeners, the rest with its first use."""
    loaded = subprocess.run(
        [sys.executable, "-I", "-c", f"HEAVY = {HEAVY!r}{LIGHT}"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "windtunnel" in loaded
    assert {name for name in loaded if not name.startswith("_")} <= {"windtunnel", "msgspec", "typing_extensions"}


def caught(handler: ast.ExceptHandler) -> set[str]:
    """The names that an except clause catches; "everything" for a bare one."""
    if handler.type is None:
        return {"everything"}
    return {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}


def test_everything_is_caught_at_the_edges_only() -> None:
    found = [
        f"{path.relative_to(SOURCE)}:{handler.lineno}"
        for path in MODULES
        for handler in ast.walk(tree(path))
        if isinstance(handler, ast.ExceptHandler) and caught(handler) & {"Exception", "everything"}
        if path.relative_to(SOURCE).as_posix() not in EDGES
    ]
    assert found == []


def test_what_undoes_for_any_reason_raises_again() -> None:
    found = [
        f"{path.relative_to(SOURCE)}:{handler.lineno}"
        for path in MODULES
        for handler in ast.walk(tree(path))
        if isinstance(handler, ast.ExceptHandler) and "BaseException" in caught(handler)
        if not any(isinstance(node, ast.Raise) for node in ast.walk(handler))
        if path.relative_to(SOURCE).as_posix() not in HANDS_OVER
    ]
    assert found == []


def makes_a_decoder(call: ast.Call) -> bool:
    """Whether a call has msgspec learn a type (see kernel/typed.py)."""
    name = ast.unparse(call.func)
    if name.endswith(("json.Decoder", "msgpack.Decoder")):
        return bool(call.args) or any(keyword.arg == "type" for keyword in call.keywords)
    return name == "msgspec.convert" or (name.endswith((".json.decode", ".msgpack.decode")) and any(k.arg == "type" for k in call.keywords))


def test_types_are_learned_one_at_a_time() -> None:
    found = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and makes_a_decoder(node)
        if path.relative_to(SOURCE).as_posix() != "kernel/typed.py"
    ]
    assert found == []


def test_each_module_says_why_it_exists() -> None:
    assert [str(path.relative_to(SOURCE)) for path in MODULES if not ast.get_docstring(tree(path))] == []


def test_no_file_knows_everything() -> None:
    sizes = {str(path.relative_to(SOURCE)): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: lines for name, lines in sizes.items() if lines > MAX_LINES} == {}


def test_nothing_is_left_for_later() -> None:
    marks = ("TO" + "DO", "FIX" + "ME", "X" + "XX:")
    left = [
        f"{path.relative_to(TESTS.parent)}:{number}"
        for path in (*MODULES, *TEST_MODULES)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if any(mark in line for mark in marks)
    ]
    assert left == []


def names_used(path: Path) -> Iterator[tuple[str, int]]:
    """Dotted names as they are written, and what is imported."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}", node.lineno
    yield from imports(path)


@pytest.mark.parametrize(
    "forbidden",
    [
        pytest.param({"time.sleep"}, id="tests wait for conditions, not for time"),
        pytest.param({"mock.patch", "unittest.mock", "unittest.mock.patch"}, id="tests inject and do not patch"),
    ],
)
def test_tests(forbidden: set[str]) -> None:
    found = [f"{path.relative_to(TESTS)}:{line} {name}" for path in TEST_MODULES for name, line in names_used(path) if name in forbidden]
    assert found == []


def test_every_test_file_has_a_name_of_its_own() -> None:
    """pytest imports them by their bare names; those of a package (which has an `__init__.py`) by the package's."""
    bare = [path for path in TEST_MODULES if not (path.parent / "__init__.py").exists()]
    names = Counter(path.name for path in bare if path.name != "conftest.py")
    assert [name for name, count in names.items() if count > 1] == []


def test_a_test_can_fail() -> None:
    """Every test function asserts, expects an exception, or calls something that does."""
    silent = [
        f"{path.relative_to(TESTS)}:{node.lineno} {node.name}"
        for path in TEST_MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        if not any(isinstance(inner, ast.Assert | ast.Call | ast.Raise) for statement in node.body for inner in ast.walk(statement))
    ]
    assert silent == []
