"""The command lines inside an instance: systemctl, journalctl, dnf, and the journal itself."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from windtunnel.guest import dnf, journalctl, packages, status_text, systemctl
from windtunnel.guest.journal import Journal, Record, parse, read, short


@pytest.mark.parametrize(
    "line, verb, names, options",
    [
        ("start nginx httpd", "start", ["nginx", "httpd"], {}),
        ("enable --now nginx", "enable", ["nginx"], {"now": ""}),
        ("show -p MainPID -p Id --value nginx", "show", ["nginx"], {"property": "MainPID,Id", "value": ""}),
        ("--no-pager -l status nginx -n 5", "status", ["nginx"], {"no-pager": "", "full": "", "lines": "5"}),
        ("list-units --type=service --state running", "list-units", [], {"type": "service", "state": "running"}),
        ("is-active -q -- nginx", "is-active", ["nginx"], {"quiet": ""}),
        ("", "list-units", [], {}),
    ],
)
def test_systemctls_command_line(line: str, verb: str, names: list[str], options: dict[str, str]) -> None:
    assert systemctl.parse(line.split()) == systemctl.Call(verb, names, options)


@pytest.mark.parametrize("line", ["frobnicate nginx", "--user start nginx", "--root=/mnt start nginx", "-H host start nginx"])
def test_systemctl_refuses_by_name_what_it_does_not_do(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert systemctl.run(systemctl.parse(line.split())) == 1
    said = capsys.readouterr().err
    assert any(word in said for word in ("frobnicate", "--user", "--root", "--host"))


def test_systemctl_without_an_init_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert systemctl.main(["start", "nginx"]) == 1
    assert capsys.readouterr().err.startswith("System has not been booted with systemd as init system (PID 1). Can't operate.")


def test_status_prints_what_is_known_and_no_more() -> None:
    unit = {
        "Id": "ghost.service", "Description": "a ghost", "LoadState": "loaded", "ActiveState": "failed", "SubState": "failed", "Result": "exit-code",
        "MainPID": "0", "ExecMainCode": "1", "ExecMainStatus": "7", "Since": 90.0, "Processes": [],
    }  # fmt: skip
    lines = status_text.status(unit, now=100.0, lines=0)
    assert lines[0] == "× ghost.service - a ghost"
    assert lines[2].startswith("     Active: failed (Result: exit-code) since ")
    assert lines[2].endswith("; 10s ago")
    assert lines[3] == "   Main PID: (code=exited, status=7)"
    assert len(lines) == 4


NOW = time.mktime((2026, 11, 23, 18, 0, 0, 0, 0, -1))


@pytest.mark.parametrize(
    "text, ago",
    [
        ("now", 0),
        ("today", 18 * 3600),
        ("-1h", 3600),
        ("10 minutes ago", 600),
        ("30s ago", 30),
        ("2026-11-23 17:00:00", 3600),
        ("2026-11-23", 18 * 3600),
    ],
)
def test_moments(text: str, ago: float) -> None:
    assert NOW - journalctl.moment(text, NOW) == ago


def test_journalctls_command_line() -> None:
    query = journalctl.parse(["-xeu", "web", "--no-pager", "-n50", "--since=-1h"], NOW)
    assert (query.units, query.lines, query.since) == (("web.service",), 50, NOW - 3600)
    assert "end" in query.flags
    assert journalctl.parse(["-f"], NOW).lines == 10


@pytest.mark.parametrize("words", [["--vacuum-size=1G"], ["-k"], ["-o", "export"], ["--since", "the day before"]])
def test_journalctl_refuses_by_name_what_it_does_not_do(words: list[str]) -> None:
    with pytest.raises(journalctl.Refused, match=words[-1].lstrip("-").split("=")[0]):
        journalctl.parse(words, NOW)


def test_what_was_written_is_read_back_oldest_first_across_the_change_of_files(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "log" / "journal"), limit=400)
    for number in range(12):
        journal.write("web.service", "web[7]", f"line {number}\nwith\ttabs", now=1000.0 + number)
    messages = [record.message for record in read(journal.path)]
    assert messages[-1] == "line 11 with\ttabs"
    assert messages == [f"line {n} with\ttabs" for n in range(12 - len(messages), 12)]
    assert (tmp_path / "log" / "journal.1").stat().st_size <= 400


def test_a_line_that_was_cut_off_is_no_record() -> None:
    assert parse("1000.0\tweb.service") is None
    assert parse("soon\ta\tb\tc") is None


def test_the_short_format() -> None:
    record = Record(NOW, "web.service", "web[7]", "hello")
    assert short(record, "host") == "Nov 23 18:00:00 host web[7]: hello"


@pytest.mark.parametrize(
    "names, install",
    [
        pytest.param(["httpd"], ["apache2"], id="another name"),
        pytest.param(["git", "jq", "git"], ["git", "jq"], id="the same name, once"),
        pytest.param(["httpd.x86_64", "gcc-c++"], ["apache2", "g++"], id="with its architecture"),
        pytest.param(["php", "php-cli"], ["libapache2-mod-php", "php-cli"], id="several for one"),
        pytest.param(["@Development Tools"], ["build-essential"], id="a group"),
    ],
)
def test_packages_become_debians(names: list[str], install: list[str]) -> None:
    assert dnf.plan(names) == dnf.Plan(install, [], "")


def test_what_the_image_has_is_there_already() -> None:
    assert dnf.plan(["codedeploy-agent", "which"]) == dnf.Plan([], ["codedeploy-agent", "which"], "")


@pytest.mark.parametrize(
    "names, complaint",
    [
        (
            ["nosuch", "git", "nor-this"],
            "No match for argument: nosuch\nNo match for argument: nor-this\nError: Unable to find a match: nosuch nor-this",
        ),
        (["git", "docker"], "Error: docker is not available in this image: containers cannot be started inside this sandbox."),
        (["https://x/y.rpm"], "Error: https://x/y.rpm: RPM files cannot be installed: this image is made of Debian packages."),
    ],
)
def test_one_bad_name_stops_the_whole_installation(names: list[str], complaint: str) -> None:
    assert dnf.plan(names) == dnf.Plan([], [], complaint)


def test_skip_broken_leaves_the_unknown_out() -> None:
    call = dnf.parse(["-y", "--setopt", "x=y", "install", "--skip-broken", "nosuch", "git"])
    assert call == dnf.Call("install", ["nosuch", "git"], skip_unknown=True)
    assert dnf.plan(call.names, call.skip_unknown).install == ["git"]


def test_updating_what_the_image_itself_brings_is_done_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    call = dnf.parse(["update", "-y", "aws-cfn-bootstrap"])
    assert call == dnf.Call("upgrade", ["aws-cfn-bootstrap"])
    assert dnf._upgrade(call) == 0
    assert "Nothing to do." in capsys.readouterr().out


def test_an_unknown_command_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert dnf.run(dnf.parse(["module", "enable", "x"])) == 1
    assert "No such command: module" in capsys.readouterr().err


def test_topics_name_packages_that_are_on_the_list() -> None:
    names = [name for topic in packages.TOPICS.values() for name in topic]
    assert [name for name in names if packages.debian(name) is None] == []
    assert dnf.extras(["install", "nosuch"]) == 1


def test_the_published_list_is_the_list() -> None:
    page = (Path(__file__).parents[2] / "docs" / "stock-image.md").read_text()
    for name in packages.known():
        target = packages.debian(name)
        assert f"`{name}`" in page, f"docs/stock-image.md does not name {name}"
        if target and target != [name]:
            assert f"`{name}` → {' '.join(target)}" in page
    for name, reason in packages.REFUSED.items():
        assert f"`{name}`: {reason}" in page
