"""The stock image's recipe and the guest layer, without building either."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from windtunnel.compute import guest_layer, stock
from windtunnel.compute.guest_layer import Entry
from windtunnel.compute.image import Images

DEBIAN = "Types: deb deb-src\nURIs: http://d\nSuites: bookworm bookworm-updates\nComponents: main contrib\nSigned-By: /usr/share/keyrings/d.gpg\n"


@pytest.mark.parametrize(
    "files, found",
    [
        pytest.param(
            {"debian.sources": f"# comment\n{DEBIAN}"},
            [{"Types": "deb", "URIs": "http://d", "Suites": "bookworm bookworm-updates", "Components": "main", "Signed-By": "/usr/share/keyrings/d.gpg"}],
            id="deb822: its suites and components, binary packages only",
        ),
        pytest.param(
            {"sources.list": "deb [arch=amd64 signed-by=/k.gpg] http://d bookworm-security main non-free # c\ndeb-src http://d bookworm main\n"},
            [{"Types": "deb", "URIs": "http://d", "Suites": "bookworm-security", "Components": "main", "Architectures": "amd64", "Signed-By": "/k.gpg"}],
            id="one line",
        ),
        pytest.param(
            {"node.sources": "Types: deb\nURIs: http://n\nSuites: nodistro\nComponents: main\n", "sdk.list": "deb http://c cloud-sdk-bookworm main"},
            [],
            id="third parties",
        ),
        pytest.param({"debian.sources": f"Enabled: no\n{DEBIAN}"}, [], id="switched off"),
        pytest.param({"a.list": "deb http://d bookworm main", "b.list": "deb http://d bookworm main"}, [
            {"Types": "deb", "URIs": "http://d", "Suites": "bookworm", "Components": "main"}], id="the same twice"),
    ],
)  # fmt: skip
def test_the_distributions_own_sources(files: dict[str, str], found: list[stock.Source]) -> None:
    assert stock.apt_sources(files, "bookworm") == found


def test_a_multi_line_key_stays_whole() -> None:
    [source] = stock.apt_sources({"a.sources": DEBIAN + "X-Key:\n -----BEGIN\n .\n abc\n"}, "bookworm")
    assert stock.sources_text([source]).endswith("X-Key: \n -----BEGIN\n .\n abc\n")


def test_the_recipe_names_the_image_anew_when_it_changes() -> None:
    sources = stock.apt_sources({"a.sources": DEBIAN}, "bookworm")
    keys = {
        stock.recipe_key(sources, "bookworm", "x86_64"),
        stock.recipe_key([], "bookworm", "x86_64"),
        stock.recipe_key(sources, "trixie", "x86_64"),
    }
    assert len(keys) == 3
    assert stock.recipe_key(sources, "bookworm", "x86_64") in keys


def test_the_guest_layer_never_hides_a_link_of_the_base() -> None:
    paths = [entry.path for entry in guest_layer.entries()]
    assert not [path for path in paths if path.split("/")[0] in ("bin", "sbin", "lib", "lib64")]
    assert "opt/windtunnel/init.py" in paths
    assert "usr/bin/systemctl" in paths


def test_every_launcher_runs_a_module_that_is_there() -> None:
    root = guest_layer.GUEST / "rootfs"
    launchers = [p for p in root.rglob("*bin/*") if p.is_file() and b"windtunnel.guest." in p.read_bytes()]
    modules = [p.read_text().split("from windtunnel.guest.")[1].split(" ")[0] for p in launchers]
    assert len(launchers) >= 8
    assert [m for m in modules if not (guest_layer.GUEST / f"{m.replace('.', '/')}.py").is_file()] == []


def test_the_key_follows_content_mode_and_links() -> None:
    one = [Entry("a", b"x", 0o644)]
    others = [[Entry("a", b"y", 0o644)], [Entry("a", b"x", 0o755)], [Entry("b", b"x", 0o644)], [Entry("a", b"", 0o777, "x")]]
    assert guest_layer.key(one) == guest_layer.key(list(one))
    assert len({guest_layer.key(layer) for layer in [one, *others]}) == 5


def test_the_packed_layer_has_parents_modes_and_compiled_modules() -> None:
    packed = io.BytesIO()
    layer = [Entry("opt/windtunnel/x.py", b"A = 1\n", 0o755), Entry("etc/link", b"", 0o777, "/there")]
    with tarfile.open(fileobj=packed, mode="w") as tar:
        guest_layer.pack(layer, tar)
    packed.seek(0)
    with tarfile.open(fileobj=packed) as tar:
        members = {member.name: member for member in tar.getmembers()}
    assert members["opt/windtunnel"].isdir()
    assert members["opt/windtunnel/x.py"].mode == 0o755
    assert members["etc/link"].linkname == "/there"
    assert [name for name in members if name.startswith("opt/windtunnel/__pycache__/x.") and name.endswith(".pyc")]
    assert {member.uid for member in members.values()} == {0}


def test_an_image_that_nobody_has_is_refused_by_name(tmp_path: Path) -> None:
    from windtunnel.compute.driver import NoSuchImage

    with pytest.raises(NoSuchImage, match="no image 'amazonlinux:2'"):
        Images(tmp_path).rootfs("amazonlinux:2")
    with pytest.raises(NoSuchImage):
        Images(tmp_path).rootfs("../../etc")
