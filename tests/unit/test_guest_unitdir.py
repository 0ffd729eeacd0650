"""Units on disk: names, aliases, links."""

from __future__ import annotations

from pathlib import Path

import pytest

from windtunnel.guest import unitdir

LIB = "usr/lib/systemd/system"
ETC = "etc/systemd/system"
WEB = "[Service]\nExecStart=/bin/web\n[Install]\nWantedBy=multi-user.target\nAlias=www.service\n"


@pytest.fixture
def root(tmp_path: Path) -> str:
    put(tmp_path, f"{LIB}/web.service", WEB)
    return str(tmp_path)


def put(root: Path | str, path: str, text: str) -> None:
    target = Path(root) / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def link(root: str, path: str, target: str) -> None:
    source = Path(root) / path
    source.parent.mkdir(parents=True, exist_ok=True)
    source.symlink_to(target)


def test_names_get_their_suffix() -> None:
    assert [unitdir.full_name(n) for n in ("web", "a.b", "x.target", "/usr/lib/systemd/system/web.service")] == [
        "web.service", "a.b.service", "x.target", "web.service",
    ]  # fmt: skip


def test_enabling_links_it_into_its_targets_and_the_boot_finds_it(root: str) -> None:
    unit = unitdir.find("web", root)
    assert unitdir.is_enabled("web", root) == "disabled"
    made = unitdir.enable(unit, unit.name, root)
    assert made[0] == ("/etc/systemd/system/multi-user.target.wants/web.service", f"/{LIB}/web.service")
    assert unitdir.is_enabled("web", root) == "enabled"
    assert unitdir.wanted_at_boot(root) == ["web.service"]
    assert unitdir.enable(unit, unit.name, root) == [], "a second time there is nothing to do"


def test_disabling_takes_every_link_away(root: str) -> None:
    unit = unitdir.find("web", root)
    unitdir.enable(unit, unit.name, root)
    assert len(unitdir.disable("web.service", root)) == 2
    assert unitdir.wanted_at_boot(root) == []
    assert unitdir.is_enabled("web", root) == "disabled"


def test_an_alias_leads_to_the_unit_of_its_own_name(root: str) -> None:
    link(root, f"{LIB}/www2.service", "web.service")
    assert unitdir.find("www2", root).name == "web.service"
    link(root, f"{LIB}/httpd.service", "apache2.service")
    with pytest.raises(unitdir.NotFound):
        unitdir.find("httpd", root)


def test_the_administrators_file_hides_the_packages(root: str) -> None:
    put(root, f"{ETC}/web.service", "[Service]\nExecStart=/bin/mine\n")
    assert unitdir.find("web", root).sections["Service"]["ExecStart"] == ["/bin/mine"]


def test_dropins_add_to_it_wherever_they_are(root: str) -> None:
    put(root, f"{LIB}/web.service.d/10-a.conf", "[Service]\nEnvironment=A=1\n")
    put(root, f"{ETC}/web.service.d/20-b.conf", "[Service]\nExecStart=\nExecStart=/bin/other\n")
    unit = unitdir.find("web", root)
    assert unit.sections["Service"] == {"ExecStart": ["/bin/other"], "Environment": ["A=1"]}
    assert [Path(p).name for p in unit.dropins] == ["10-a.conf", "20-b.conf"]


def test_an_instance_comes_from_its_template(root: str) -> None:
    put(root, f"{LIB}/app@.service", "[Service]\nExecStart=/bin/app %i\n[Install]\nWantedBy=multi-user.target\n")
    unit = unitdir.find("app@blue", root)
    assert unit.name == "app@blue.service"
    unitdir.enable(unit, unit.name, root)
    assert unitdir.wanted_at_boot(root) == ["app@blue.service"]


def test_masking(root: str) -> None:
    unitdir.mask("web", root)
    with pytest.raises(unitdir.Masked):
        unitdir.find("web", root)
    assert unitdir.is_enabled("web", root) == "masked"
    assert unitdir.unmask("web", root) == "/etc/systemd/system/web.service"
    assert unitdir.unmask("web", root) == ""
    assert unitdir.find("web", root).name == "web.service"


def test_a_unit_without_an_install_section_is_static(root: str) -> None:
    put(root, f"{LIB}/plain.service", "[Service]\nExecStart=/bin/x\n")
    assert unitdir.is_enabled("plain", root) == "static"
