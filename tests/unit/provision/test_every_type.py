"""What every resource type that runs must keep, whoever wrote it: its names are the schema's, and asking for what is not there is an answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness import InProcessCloud
from windtunnel.app import load_services
from windtunnel.kernel.errors import AwsError
from windtunnel.provision import registry
from windtunnel.provision.identity import find
from windtunnel.provision.registry import ResourceType
from windtunnel.provision.schemas import TypeSchema, schema

load_services()
TYPES = registry.types()
NAMED_BY_US = {"AWS::CloudFormation::Stack"}
"""A nested stack is always named for it: no property holds the name."""
_OWN = ("CustomResource", "WaitCondition", "WaitConditionHandle")
OF_THE_STACK_ONLY = {"AWS::CDK::Metadata", *(f"AWS::CloudFormation::{noun}" for noun in _OWN)}
"""What is nowhere but in its stack: the registry cannot read these, Cloud Control refuses them."""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path_factory.mktemp("types")) as running:
        yield running


def of(name: str) -> tuple[ResourceType, TypeSchema]:
    handler, found = registry.handler(name), schema(name)
    assert handler is not None and found is not None, f"AWS has no type {name}"
    return handler, found


@pytest.mark.parametrize("name", TYPES)
def test_its_name_is_a_property_and_its_limit_the_schemas(name: str) -> None:
    handler, found = of(name)
    assert handler.type == name
    if handler.name is not None and name not in NAMED_BY_US:
        assert handler.name.property in found.properties


@pytest.mark.parametrize("name", TYPES)
def test_what_is_not_there_is_not_found_and_its_deletion_a_success(cloud: InProcessCloud, name: str) -> None:
    handler, found = of(name)
    text = "|".join(["nothing-here"] * len(found.identifier))
    if name in OF_THE_STACK_ONLY:
        assert "read" not in found.handlers
    elif type(handler).read is not ResourceType.read:
        assert cloud.read(lambda ctx: find(ctx, handler, found, text)) is None


@pytest.mark.parametrize("name", TYPES)
def test_an_account_without_any_has_a_list(cloud: InProcessCloud, name: str) -> None:
    handler, _ = of(name)
    if type(handler).list is not ResourceType.list:
        try:
            ids = cloud.read(lambda ctx: list(handler.list(ctx)))
        except AwsError as error:
            pytest.fail(f"{name}: {error}")
        assert all(isinstance(id, str) and id for id in ids)
