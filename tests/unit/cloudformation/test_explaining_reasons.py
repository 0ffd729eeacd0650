"""Which property a reason names."""

from __future__ import annotations

import pytest

from windtunnel.services.cloudformation.explaining import property_path

SAID = "Properties validation failed for resource X with message:\n"


@pytest.mark.parametrize(
    ("reason", "path"),
    [
        pytest.param(SAID + "#: extraneous key [Foo] is not permitted", ("Foo",), id="a property that there is not"),
        pytest.param(SAID + "#/Tags/0: extraneous key [Foo] is not permitted", ("Tags", "0", "Foo"), id="deeper"),
        pytest.param(SAID + "#/Size: expected type: Integer, found: String", ("Size",), id="a wrong type"),
        pytest.param(SAID + "#: required key [Name] not found", (), id="what is missing stands nowhere"),
        pytest.param("Property validation failure: [The property {/Type} is required]", ("Type",), id="the older engine"),
        pytest.param("Encountered unsupported properties in {/}: [Foo]", ("Foo",), id="the older engine, unknown"),
        pytest.param('Resource handler returned message: "no (Service: Sqs…)"', (), id="a service's own words"),
    ],
)
def test_property_path(reason: str, path: tuple[str, ...]) -> None:
    assert property_path(reason) == path
