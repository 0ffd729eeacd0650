"""What holds for every operation that is registered, read from its declaration and its source, without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from inspect import Parameter, signature
from pathlib import Path

import pytest
from tables import ERRORS

import windtunnel.services
from windtunnel.app import load_services
from windtunnel.kernel.registry import OPERATIONS, RULES, Operation
from windtunnel.wire import coverage
from windtunnel.wire.models import load_service
from windtunnel.wire.naming import xform
from windtunnel.wire.protocols.errors import _COMMON, _S3, ErrorTable

load_services()
SERVICES = Path(windtunnel.services.__path__[0])
EVERY_OPERATION = [pytest.param(operation, id=f"{service}:{name}") for (service, name), operation in sorted(OPERATIONS.items())]
SOURCES = sorted(path.name for path in SERVICES.iterdir() if (path / "__init__.py").exists())
MODELS_OF = {"codedeploy": ("codedeploy", "codedeploy-commands")}

# Codes that AWS documents outside its models. S3: API/ErrorResponses.html; EC2: APIReference/errors-overview.html.
COMMON = {*_COMMON, "SerializationException", "ThrottlingException", "UnknownOperationException", "ValidationError", "ValidationException"}
BEYOND_THE_MODEL = {**ERRORS, "s3": {*_S3, *ERRORS["s3"]}}


@cache
def known_codes(service: str) -> dict[str, int]:
    """Wire code -> status, as the service's model says."""
    found: dict[str, int] = {}
    for name in MODELS_OF.get(service, (service,)):
        model = load_service(name)
        table = ErrorTable(model)
        found |= {code: table._known[code] for code in table._known if code not in table.query_codes}
    return found


@pytest.mark.parametrize("operation", EVERY_OPERATION)
def test_an_operation_is_in_its_model(operation: Operation) -> None:
    model = load_service(operation.service)
    assert model.has_operation(operation.name)
    assert coverage.stale(model, operation.name, operation.declared) == []


@pytest.mark.parametrize("operation", EVERY_OPERATION)
def test_a_handler_takes_what_is_declared(operation: Operation) -> None:
    """As snake_case arguments; all that is declared, and nothing that no client could ever give."""
    declared = operation.declared
    members = load_service(operation.service).operation(operation.name).input_shape.members
    paths = {*declared.acts, *declared.descriptive, *(path for path, value in declared.default_only.items() if value is not None)}
    tops = set(members) if "*" in paths else {path.split(".")[0].removesuffix("[]").removesuffix("{}") for path in paths}
    parameters = dict(signature(operation.handler).parameters)
    parameters.pop(next(iter(parameters)))
    anything = any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters.values())
    named = {name for name, parameter in parameters.items() if parameter.kind is not Parameter.VAR_KEYWORD}
    prepared = {name for name in named if parameters[name].default is not Parameter.empty or operation.prepare is not None}
    given = {xform(top) for top in tops}
    assert named - given <= (prepared if operation.prepare is not None else set()), "no client can give these"
    assert anything or given <= named, "these are declared and not taken"


@pytest.mark.parametrize("operation", EVERY_OPERATION)
def test_a_handler_can_do_without_what_is_optional(operation: Operation) -> None:
    """Whatever AWS's model does not require has a default, in the handler and in what authorizes it; else a client gets a 500."""
    shape = load_service(operation.service).operation(operation.name).input_shape
    required = {xform(name) for name in shape.required}
    optional = {xform(name) for name in shape.members} - required
    for function in (operation.handler, operation.authorize):
        wanted = {name for name, parameter in signature(function).parameters.items() if parameter.default is Parameter.empty}
        assert wanted & optional == set(), f"{function.__qualname__} asks for what the model does not require"


@pytest.mark.parametrize("service", sorted(RULES))
def test_a_services_own_words_for_bad_input_are_in_its_model(service: str) -> None:
    rules = RULES[service]
    codes = {rules.validation_code, rules.access_denied_code}
    codes |= {code for member in rules.members.values() for code in (member.required, member.invalid) if code}
    assert codes - set(known_codes(service)) - COMMON - BEYOND_THE_MODEL.get(service, set()) == set()


def raised(source: str) -> Iterator[tuple[str, int | None, str]]:
    """(code, status if given, where) of every AwsError that a service's source spells out."""
    for path in sorted((SERVICES / source).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "AwsError" and node.args):
                continue
            status = next((word.value for word in node.keywords if word.arg == "status"), None)
            number = status.value if isinstance(status, ast.Constant) and isinstance(status.value, int) else None
            for code in ast.walk(node.args[0]):
                if isinstance(code, ast.Constant) and isinstance(code.value, str):
                    yield code.value, number, f"{path.relative_to(SERVICES)}:{node.lineno}"


@pytest.mark.parametrize("source", SOURCES)
def test_errors_are_awss(source: str) -> None:
    """Every code is in the service's model or in AWS's documentation beyond it, and comes with the status that stands there."""
    known = known_codes(source)
    allowed = COMMON | BEYOND_THE_MODEL.get(source, set())
    unknown = [f"{where} {code}" for code, _, where in raised(source) if code not in known and code not in allowed]
    assert unknown == []
    wrong = [
        f"{where} {code} is {known[code]}, not {status}"
        for code, status, where in raised(source)
        if status and known.get(code, status) != status
    ]
    assert wrong == []


@pytest.mark.parametrize("source", SOURCES)
def test_names_of_exceptions_are_awss(source: str) -> None:
    """Codes also travel through tables and helpers: whatever looks like one has to be one, of some service that is called from here."""
    anyones = {code for service in {service for service, _ in OPERATIONS} for code in known_codes(service)} | COMMON
    anyones |= {code for codes in BEYOND_THE_MODEL.values() for code in codes}
    strange = [
        f"{path.relative_to(SERVICES)}:{node.lineno} {node.value}"
        for path in sorted((SERVICES / source).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if node.value.isidentifier() and node.value[0].isupper() and node.value.endswith("Exception")
        if node.value not in anyones
    ]
    assert strange == []
