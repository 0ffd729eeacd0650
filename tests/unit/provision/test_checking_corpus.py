"""Resources that nobody here wrote: whatever the sample templates give a type, its schema takes. A false alarm would fail a stack that deploys on AWS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from windtunnel.provision.checking import check
from windtunnel.provision.schemas import schema
from windtunnel.services.cloudformation.language import conditions, extensions, graph, macros, parameters
from windtunnel.services.cloudformation.language.environment import Environment
from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.parse import parse
from windtunnel.services.cloudformation.language.resolve import Scope, compiled

SAMPLES = Path(__file__).parents[4] / "shared" / "samples" / "templates"
ENV = Environment(
    "123456789012",
    "us-east-1",
    "stack",
    "arn:aws:cloudformation:us-east-1:123456789012:stack/stack/0",
    zones={"us-east-1": ["us-east-1a", "us-east-1b", "us-east-1c"]},
)
SHAPE_OF_A_TEXT = {"pattern", "minLength", "maxLength"}
"""Not looked at: what parameters and other resources would give is made up here."""
WRONG = {
    # An inline function whose code is a transform's to make, which is not run here.
    ("AWS::Lambda::Function", "#/Code/ZipFile: expected type: String, found: JSONObject"),
}


def resources(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    template = parse(path.read_text())
    declared = parameters.declared(template)
    given = {
        key: one.default if one.default is not None else (one.allowed_values or ["a||b||c||d,e||f,g,h"])[0] for key, one in declared.items()
    }
    values = parameters.resolved(declared, given, dict.fromkeys(given.values(), "ami-1"))
    template = extensions.expand(template, values, ENV)
    if macros.is_to_be_transformed(template):
        return
    held = conditions.conditions(template, values, ENV)
    scope = Scope(values, ENV, held, template.get("Mappings", {}), refs=lambda name: made_up(name, "id"), attributes=made_up, imports=str)
    for name in graph.dependencies(template, held):
        resource = template["Resources"][name]
        yield resource["Type"], compiled(resource.get("Properties", {}))(scope)


def made_up(name: str, attribute: str) -> Any:
    if attribute.endswith("CidrBlocks"):
        return ["2001:db8::/56"] * 4
    text = f"arn:aws:service:region:account:{name}:{attribute}:x:y:z/b:c/d/e|f|g"
    return [text] * 4 if attribute.endswith("Entries") else text


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample templates are not beside this checkout")
def test_what_samples_give_is_taken() -> None:
    looked, found = 0, set()
    for path in sorted(path for path in SAMPLES.rglob("*.*") if path.is_file()):
        try:
            given = list(resources(path))
        except TemplateError:
            continue  # what is wrong with it is the language's to say, and tested there
        for kind, properties in given:
            known = schema(kind)
            if known is not None:
                looked += 1
                found |= {(kind, one.text) for one in check(known, properties)[1] if one.keyword not in SHAPE_OF_A_TEXT}
    assert looked > 1_500
    assert found - WRONG == set()
