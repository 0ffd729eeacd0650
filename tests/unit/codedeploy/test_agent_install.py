"""The Install event on a real file system: what is copied, refused, taken away again, and who may read it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from windtunnel.guest.codedeploy import appspec
from windtunnel.guest.codedeploy.install import Failed, install


class Place:
    """A revision, the machine's directory that it is installed to, and the agent's instructions."""

    def __init__(self, path: Path) -> None:
        self.archive, self.target, self.instructions = path / "archive", path / "srv", path / "instructions"
        for directory in (self.archive, self.target):
            directory.mkdir()

    def revision(self, **files: str) -> None:
        for name, text in files.items():
            path = self.archive / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def install(self, text: str, file_exists: str = "DISALLOW") -> None:
        spec = appspec.parse("version: 0.0\nos: linux\n" + text.replace("@", str(self.target)))
        install(spec, self.archive, self.instructions, "group", file_exists)

    def files(self) -> dict[str, str]:
        found = (path for path in self.target.rglob("*") if path.is_file())
        return {str(path.relative_to(self.target)): path.read_text() for path in found}


ALL = "files: [{source: /, destination: @/www}]\n"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_directory_s_content_goes_below_the_destination(place: Place) -> None:
    place.revision(index_html="hello", css__a_css="x")
    place.install(ALL)
    assert place.files() == {"www/index.html": "hello", "www/css/a.css": "x"}


def test_a_file_goes_into_the_destination_with_the_parents_it_needs(place: Place) -> None:
    place.revision(conf__app_ini="x")
    place.install("files: [{source: conf/app.ini, destination: @/etc/deep/er}]\n")
    assert place.files() == {"etc/deep/er/app.ini": "x"}


def test_links_stay_links(place: Place) -> None:
    place.revision(a="x")
    (place.archive / "link").symlink_to("a")
    place.install(ALL)
    assert os.readlink(place.target / "www" / "link") == "a"


def test_the_next_deployment_takes_away_what_the_last_one_put_there(place: Place) -> None:
    place.revision(old__one="1", two="2")
    place.install(ALL)
    (place.target / "www" / "mine").write_text("kept")
    for name in ("old/one", "two"):
        (place.archive / name).unlink()
    (place.archive / "old").rmdir()
    place.revision(three="3")
    place.install(ALL)
    assert place.files() == {"www/three": "3", "www/mine": "kept"}
    assert not (place.target / "www" / "old").exists()


def test_a_file_that_no_deployment_made_is_not_overwritten(place: Place) -> None:
    place.revision(index_html="new")
    (place.target / "www").mkdir()
    (place.target / "www" / "index.html").write_text("old")
    with pytest.raises(Failed) as caught:
        place.install(ALL)
    where = place.target / "www" / "index.html"
    assert str(caught.value) == f"The deployment failed because a specified file already exists at this location: {where}"
    assert place.files() == {"www/index.html": "old"}


@pytest.mark.parametrize("behavior, expected", [("OVERWRITE", "new"), ("RETAIN", "old")])
def test_a_file_that_is_there_already(place: Place, behavior: str, expected: str) -> None:
    place.revision(a="new")
    (place.target / "www").mkdir()
    (place.target / "www" / "a").write_text("old")
    place.install(ALL, file_exists=behavior)
    assert place.files() == {"www/a": expected}


def test_the_appspec_decides_before_the_deployment(place: Place) -> None:
    place.revision(a="new")
    (place.target / "www").mkdir()
    (place.target / "www" / "a").write_text("old")
    place.install(ALL + "file_exists_behavior: RETAIN\n", file_exists="OVERWRITE")
    assert place.files() == {"www/a": "old"}


def test_two_sources_for_one_destination(place: Place) -> None:
    place.revision(x__a="1", y__a="2")
    with pytest.raises(Failed) as caught:
        place.install("files: [{source: x/a, destination: @}, {source: y/a, destination: @}]\n")
    said = str(caught.value)
    assert f"two source files named {place.archive / 'y/a'} and {place.archive / 'x/a'} for the same destination" in said
    assert place.files() == {}


def test_a_source_that_is_not_there(place: Place) -> None:
    with pytest.raises(Failed) as caught:
        place.install("files: [{source: nope, destination: @}]\n")
    assert str(caught.value) == f"No such file or directory - {place.archive / 'nope'}"


def mode(path: Path) -> str:
    return f"{path.stat().st_mode & 0o7777:o}"


def test_permissions_by_pattern_exception_and_type(place: Place) -> None:
    place.revision(run_sh="", secret_sh="", notes_txt="", sub__deep_sh="")
    for path in place.archive.rglob("*.*"):
        path.chmod(0o600)
    place.install(
        ALL
        + """permissions:
  - {object: @/www, pattern: "*.sh", except: [secret.sh], mode: 755, type: [file]}
  - {object: @/www/secret.sh, mode: "0400"}
  - {object: @/www, mode: 750, type: [directory]}
"""
    )
    www = place.target / "www"
    assert [mode(www / name) for name in ("run.sh", "secret.sh", "notes.txt", "sub/deep.sh")] == ["755", "400", "600", "600"]
    assert (mode(www / "sub"), mode(www)) == ("750", "755")


@pytest.mark.parametrize(
    "permissions, words",
    [
        ('[{object: @/www/a, pattern: "*.sh", mode: 644}]', "with an invalid pattern (*.sh)"),
        ("[{object: @/www/a, except: [b], mode: 644}]", "contains an invalid format"),
        ("[{object: @/www/a, mode: 644}, {object: @/www/a, mode: 600}]", "is specified more than once"),
        ("[{object: @/www/a, owner: nobody-of-that-name}]", "can't find user for nobody-of-that-name"),
        ("[{object: @/www/a, group: no-such-group}]", "can't find group for no-such-group"),
        ("[{object: @/www/a, acls: ['d:u:root:rw']}]", "supported for directories only"),
        ("[{object: @/www/a, context: {type: t, role: r}}]", "roles are not supported"),
    ],
)
def test_permissions_that_cannot_be_set(place: Place, permissions: str, words: str) -> None:
    place.revision(a="")
    with pytest.raises(Failed) as caught:
        place.install(ALL + f"permissions: {permissions}\n")
    assert words in str(caught.value)


def test_the_lists_have_the_agent_s_format(place: Place) -> None:
    place.revision(a="")
    place.install(ALL)
    found = json.loads((place.instructions / "group-install.json").read_text())["instructions"]
    www = str(place.target / "www")
    assert found == [{"type": "mkdir", "directory": www}, {"type": "copy", "source": str(place.archive / "a"), "destination": f"{www}/a"}]
    assert (place.instructions / "group-cleanup").read_text() == f"{www}\n{www}/a\n"
