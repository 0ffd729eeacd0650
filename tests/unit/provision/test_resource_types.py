"""`coverage --types`: counted from the registry and from templates."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from windtunnel.commands import resource_types
from windtunnel.commands.resource_types import count, rows, service_of, table
from windtunnel.provision import registry

YAML = """
Resources:
  Here: {Type: AWS::Logs::LogGroup}
  There: {Type: 'AWS::Athena::WorkGroup'}
  Own: {Type: Custom::Thing, Properties: {ServiceToken: !GetAtt A.Arn}}
"""
JSON = '{"Resources": {"A": {"Type": "AWS::Logs::LogGroup"}, "B": {"Type": "AWS::Logs::Delivery"}, "C": []}}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.yaml").write_text(YAML)
    (tmp_path / "b.template").write_text(JSON)
    (tmp_path / "c.yml").write_text("Resources:\n  {{ A }: AWS::X::Y")
    (tmp_path / "d.json").write_text('["no template"]')
    (tmp_path / "e.txt").write_text(JSON)
    return tmp_path


def test_templates_are_counted(folder: Path) -> None:
    used, unread = count(folder)
    assert used == {"AWS::Logs::LogGroup": 2, "AWS::Logs::Delivery": 1, "AWS::Athena::WorkGroup": 1, "Custom::Thing": 1}
    assert [path.name for path in unread] == ["c.yml"]


def test_a_share_is_of_the_services_that_are_here(folder: Path) -> None:
    found = {row.service: row for row in rows(count(folder)[0])}
    logs = found["logs"]
    assert (logs.instances, logs.made, logs.lacking) == (3, 2, [("AWS::Logs::Delivery", 1)])
    assert set(logs.run) <= set(registry.types()) and "AWS::Logs::LogGroup" in logs.run
    assert "athena" not in found and all(row.known for row in found.values())


def test_the_table_names_what_does_not_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert resource_types.show(folder) == 0
    shown = capsys.readouterr().out
    assert "66.7%" in shown and "    1  AWS::Logs::Delivery" in shown
    assert "5 resources in all; 2 are of services that are not here" in shown and "c.yml" in shown
    assert "AWS::Logs::LogGroup" in table(rows(Counter()), templates=False)


def test_every_type_that_runs_is_one_of_awss() -> None:
    strange = [name for name in registry.types() if not resource_types.schemas.known(name)]
    assert strange == []
    assert all(service_of(name) for name in registry.types())
