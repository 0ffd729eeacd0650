"""The application specification file: what is read from it, and AWS's words for what is wrong with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.guest.codedeploy import appspec
from windtunnel.guest.codedeploy.appspec import File, Invalid, Script
from windtunnel.guest.codedeploy.globs import below, matches

HEAD = "version: 0.0\nos: linux\n"


def test_a_whole_file() -> None:
    found = appspec.parse(
        HEAD
        + """
files:
  - source: /
    destination: /var/www
  - {source: conf/app.conf, destination: /etc/app}
file_exists_behavior: OVERWRITE
permissions:
  - object: /var/www
    pattern: "*.sh"
    except: [secret.sh]
    owner: www-data
    group: www-data
    mode: 755
    type: [file]
hooks:
  ApplicationStart:
    - location: scripts/start.sh
      timeout: 300
      runas: root
  ValidateService:
    - location: scripts/check.sh
"""
    )
    assert found.files == (File("/", "/var/www"), File("conf/app.conf", "/etc/app"))
    assert found.file_exists == "OVERWRITE"
    assert found.hooks == {
        "ApplicationStart": (Script("scripts/start.sh", 300, "root"),),
        "ValidateService": (Script("scripts/check.sh", 3600),),
    }
    permission = found.permissions[0]
    assert (permission.mode, permission.except_, permission.types, permission.pattern) == ("755", ("secret.sh",), ("file",), "*.sh")


MANY = "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40))


@pytest.mark.parametrize(
    "text, words",
    [
        pytest.param("", "the application specification file was empty", id="empty"),
        pytest.param("- a\n", "is not a mapping of properties", id="a list"),
        pytest.param("version: [0.0\n", "could not be parsed as YAML", id="broken"),
        pytest.param(
            "version: 1.0\nos: linux\n", "an invalid version value (1.0) was entered in the application specification", id="version"
        ),
        pytest.param("os: linux\n", "an invalid version value () was entered", id="no version"),
        pytest.param('version: "0.0"\nos: linux\n', "an invalid version value (0.0) was entered", id="version as text"),
        pytest.param("version: 0.0\nos: windows\n", "specifies an unsupported operating system (windows)", id="windows"),
        pytest.param("version: 0.0\n", "specifies an unsupported operating system ()", id="no os"),
        pytest.param(HEAD + "files:\n  - destination: /x\n", "specifies a destination file, but no source file", id="no source"),
        pytest.param(HEAD + "files:\n  - source: x\n", "specifies only a source file (x)", id="no destination"),
        pytest.param(HEAD + "files: x\n", "the files section of the application specification file is not a list", id="files"),
        pytest.param(HEAD + "files: [x]\n", "an entry of the files section", id="an entry of files"),
        pytest.param(HEAD + "hooks:\n  Install:\n    - timeout: 3\n", "specifies a script with no location value", id="no location"),
        pytest.param(HEAD + "hooks:\n  A:\n    - location:\n", "specifies a script with no location value", id="empty location"),
        pytest.param(
            HEAD + "hooks:\n  A: [{location: x, timeout: 0}]\n", "an invalid timeout value was provided for a script", id="timeout 0"
        ),
        pytest.param(HEAD + "hooks:\n  A: [{location: x, timeout: soon}]\n", "an invalid timeout value", id="timeout soon"),
        pytest.param(HEAD + "hooks: [a]\n", "is not a mapping of lifecycle events", id="hooks"),
        pytest.param(
            HEAD + "permissions: [{mode: 644}]\n", "a permission listed in the application specification file has no object", id="object"
        ),
        pytest.param(
            HEAD + "permissions: [{object: /x, type: [link]}]\n", "an object type not supported for permissions (link)", id="type"
        ),
        pytest.param(HEAD + "permissions: [{object: /x, mode: 99}]\n", "the permissions mode (099) in the", id="mode characters"),
        pytest.param(HEAD + "permissions: [{object: /x, mode: '00644'}]\n", "the length of a permissions mode (00644)", id="mode length"),
        pytest.param(HEAD + "file_exists_behavior: ASK\n", "Valid options include OVERWRITE, RETAIN, and DISALLOW", id="file exists"),
        pytest.param("[" * 5000, "could not be parsed as YAML", id="deep nesting"),
        pytest.param("a0: &a0 {x: 1}\n" + MANY + HEAD, "could not be parsed as YAML", id="merge bomb"),
        pytest.param("a: &a [x, x]\nb: &b [*a, *a]\n" + HEAD.replace("linux", "*b"), "operating system (a list)", id="alias as os"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        appspec.parse(text)
    assert words in str(caught.value)


@given(
    st.text(max_size=200)
    | st.lists(st.sampled_from(["version: 0.0", "os: linux", "hooks:", "  A:", "  - location: x", "files: []", "? x"]), max_size=8).map(
        "\n".join
    )
)
def test_no_text_ends_in_another_error(text: str) -> None:
    try:
        appspec.parse(text)
    except Invalid as problem:
        assert str(problem).startswith("The deployment failed because ")


@pytest.mark.parametrize(
    "name, pattern, expected",
    [
        ("a.sh", "*.sh", True),
        ("a.sh", "*", True),
        ("a.sh", "a.*h", True),
        ("a.sh", "b*", False),
        ("a.shx", "*.sh", False),
        ("dir/a.sh", "*", False),
        ("", "*", True),
        ("x" * 2000, "*x" * 1000 + "y", False),
        ("x" * 2000, "*x" * 1000, True),
    ],
)
def test_globs(name: str, pattern: str, expected: bool) -> None:
    assert matches(name, pattern) is expected


def test_below() -> None:
    assert below("/var/www/a/b", "/var/www/") == "a/b"
    assert below("/var/www2/a", "/var/www") is None
    assert below("/var/www", "/var/www") is None
    assert below("/a", "/") == "a"
