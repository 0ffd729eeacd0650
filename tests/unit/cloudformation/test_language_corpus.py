"""Templates that nobody here wrote: each is read, checked, and its graph made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from windtunnel.services.cloudformation.language import conditions, extensions, graph, macros, parameters, structure, summary
from windtunnel.services.cloudformation.language.environment import Environment
from windtunnel.services.cloudformation.language.parse import parse
from windtunnel.services.cloudformation.language.resolve import Scope, compiled
from windtunnel.services.cloudformation.language.uses import Uses, uses

SAMPLES = Path(__file__).parents[4] / "shared" / "samples" / "templates"
TEMPLATES = sorted(path for path in SAMPLES.rglob("*.*") if path.is_file()) if SAMPLES.is_dir() else []
NOT_CLOUDFORMATION = {"cfn-templates__RainModules__api-resource.yml": "Fn::Rain::S3 is the rain tool's own, which CloudFormation refuses"}
ENV = Environment(
    "123456789012",
    "us-east-1",
    "stack",
    "arn:aws:cloudformation:us-east-1:123456789012:stack/stack/0",
    zones={"us-east-1": ["us-east-1a", "us-east-1b", "us-east-1c"]},
)


def somehow(declared: dict[str, parameters.Parameter]) -> dict[str, Any]:
    """A value for every parameter: its default, an allowed one, or one that splits into many."""
    given = {
        key: parameter.default if parameter.default is not None else (parameter.allowed_values or ["a||b||c||d,e||f,g,h"])[0]
        for key, parameter in declared.items()
    }
    return parameters.resolved(declared, given, dict.fromkeys(given.values(), "ami-1"))


@pytest.mark.skipif(not TEMPLATES, reason="the sample templates are not beside this checkout")
@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_sample_is_read_checked_and_ordered(path: Path) -> None:
    if path.name in NOT_CLOUDFORMATION:
        pytest.skip(NOT_CLOUDFORMATION[path.name])
    template = parse(path.read_text())
    structure.check(template, known_types=lambda kind: True)
    declared = parameters.declared(template)
    said = summary.summary(template, declared)
    assert [entry["ParameterKey"] for entry in said["Parameters"]] == list(template.get("Parameters", {}))
    values = somehow(declared)
    template = extensions.expand(template, values, ENV)
    if macros.is_to_be_transformed(template):
        assert said["DeclaredTransforms"] or macros.macros(template)
        return
    structure.check(template, known_types=lambda kind: True)
    held = conditions.conditions(template, values, ENV)
    needs = graph.dependencies(template, held)
    assert set(needs) <= set(template["Resources"])
    scope = Scope(
        values, ENV, held, template.get("Mappings", {}), refs=lambda name: given_back(name, "id"), attributes=given_back, imports=str
    )
    for name in needs:
        properties = compiled(template["Resources"][name].get("Properties", {}))(scope)
        assert isinstance(properties, dict)
        assert uses(properties) == Uses()


def given_back(name: str, attribute: str) -> Any:
    """As many parts as anything that a sample splits has."""
    if attribute.endswith("CidrBlocks"):
        return ["2001:db8::/56"] * 4
    text = f"arn:aws:service:region:account:{name}:{attribute}:x:y:z/b:c/d/e|f|g"
    return [text] * 4 if attribute.endswith("Entries") else text
