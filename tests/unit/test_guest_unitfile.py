"""Unit files as systemd reads them."""

from __future__ import annotations

import pytest

from windtunnel.guest.unitfile import (
    INFINITY,
    BadUnit,
    Command,
    environment_file,
    expand,
    parse,
    seconds,
    service,
    specifiers,
    split_words,
)


def test_directives_append_and_an_empty_one_starts_anew() -> None:
    base = "[Service]\nEnvironment=A=1\nEnvironment=B=2\nExecStart=/bin/old\n"
    dropin = "[Service]\nExecStart=\nExecStart=/bin/new\nEnvironment=C=3\n"
    assert parse([base, dropin]) == {"Service": {"Environment": ["A=1", "B=2", "C=3"], "ExecStart": ["/bin/new"]}}


def test_comments_go_and_continued_lines_are_joined() -> None:
    text = "# one\n; two\n[Service]\nExecStart=/bin/sh -c 'a \\\n# inside\n  b'\n"
    assert split_words(parse([text])["Service"]["ExecStart"][0]) == ["/bin/sh", "-c", "a  b"]


@pytest.mark.parametrize(
    "line, words",
    [
        pytest.param("/bin/sh -c \"echo 'x y'\"", ["/bin/sh", "-c", "echo 'x y'"], id="single quotes inside double ones stay"),
        pytest.param(r"a\x20b c\ d", [r"a\x20b", "c\\ d"], id="an unknown escape is kept"),
        pytest.param('a "" b', ["a", "", "b"], id="an empty word"),
        pytest.param(r'"say \"hi\""', ['say "hi"'], id="an escaped quote"),
        pytest.param("nginx -g 'daemon on; master_process on;'", ["nginx", "-g", "daemon on; master_process on;"], id="nginx"),
    ],
)
def test_words(line: str, words: list[str]) -> None:
    assert split_words(line) == words


@pytest.mark.parametrize(
    "words, expanded",
    [
        pytest.param(["$OPTIONS"], ["-v", "--port", "80"], id="a variable alone becomes words"),
        pytest.param(["${OPTIONS}"], ["-v --port 80"], id="in braces it stays one word"),
        pytest.param(["--at=${HOST}/x"], ["--at=web/x"], id="in braces within a word"),
        pytest.param(["cost$$5", "$UNSET", "${UNSET}"], ["cost$5", ""], id="dollars, and unset variables"),
        pytest.param(["100%", "a$b"], ["100%", "a$b"], id="a dollar inside a word is a dollar"),
    ],
)
def test_expansion(words: list[str], expanded: list[str]) -> None:
    assert expand(words, {"OPTIONS": "-v --port 80", "HOST": "web"}) == expanded


@pytest.mark.parametrize(
    "text, value",
    [("90", 90), ("1min 30s", 90), ("500ms", 0.5), ("2h", 7200), ("infinity", INFINITY), ("0", 0), ("1.5s", 1.5), ("5 sec", 5)],
)
def test_time_spans(text: str, value: float) -> None:
    assert seconds(text) == pytest.approx(value)


def test_a_time_span_that_is_none_is_refused() -> None:
    with pytest.raises(BadUnit, match="RestartSec=soon is not a time span"):
        service("a.service", parse(["[Service]\nExecStart=/bin/a\nRestartSec=soon"]))


def test_specifiers_of_an_instance() -> None:
    assert specifiers("/srv/%i %n %p 100%%", "web@blue.service") == "/srv/blue web@blue.service web 100%"


def test_environment_files_lose_quotes_comments_and_export() -> None:
    assert environment_file("# c\nexport A='x y'\nB=\"z\"\nC=1=2\nnonsense\n") == {"A": "x y", "B": "z", "C": "1=2"}


def test_debians_nginx() -> None:
    text = (
        "[Unit]\nDescription=web\nAfter=network-online.target remote-fs.target\n[Service]\nType=forking\nPIDFile=/run/nginx.pid\n"
        "ExecStartPre=/usr/sbin/nginx -t\nExecStart=/usr/sbin/nginx -g 'daemon on;'\nExecStop=-/sbin/start-stop-daemon --stop\n"
        "TimeoutStopSec=5\nKillMode=mixed\n[Install]\nWantedBy=multi-user.target\n"
    )
    unit = service("nginx.service", parse([text]))
    assert (unit.type, unit.pid_file, unit.kill_mode, unit.stop_timeout, unit.start_timeout) == (
        "forking",
        "/run/nginx.pid",
        "mixed",
        5,
        90,
    )
    assert unit.start == (Command(("/usr/sbin/nginx", "-g", "daemon on;")),)
    assert unit.stop == (Command(("/sbin/start-stop-daemon", "--stop"), optional=True),)
    assert unit.after == {"network-online.target", "remote-fs.target"}
    assert unit.unsupported == ()


def test_capabilities_that_a_sandbox_has_are_kept_and_others_named() -> None:
    unit = service("a.service", parse(["[Service]\nExecStart=/bin/a\nAmbientCapabilities=CAP_NET_BIND_SERVICE CAP_SYS_ADMIN\n"]))
    assert unit.capabilities == ("CAP_NET_BIND_SERVICE",)
    assert unit.unsupported == ("AmbientCapabilities=CAP_SYS_ADMIN",)


def test_what_is_not_enforced_is_named() -> None:
    unit = service("a.service", parse(["[Service]\nExecStart=/bin/a\nPrivateTmp=yes\nMemoryMax=1G\nX-Ours=1\n"]))
    assert unit.unsupported == ("PrivateTmp", "MemoryMax")


@pytest.mark.parametrize(
    "text, complaint",
    [
        pytest.param("[Service]\nType=dbus\nExecStart=/bin/a", "Type=dbus is not run by this image's init", id="a type that is not run"),
        pytest.param("[Service]\nType=simple", "has no ExecStart=", id="nothing to run"),
        pytest.param("[Service]\nExecStart=/bin/a\nExecStart=/bin/b", "more than one ExecStart=", id="two commands for one process"),
        pytest.param(
            "[Service]\nType=oneshot\nExecStart=/bin/a\nRestart=always", "isn't allowed for Type=oneshot", id="a oneshot for ever"
        ),
    ],
)
def test_units_that_cannot_be_obeyed(text: str, complaint: str) -> None:
    with pytest.raises(BadUnit, match=complaint):
        service("a.service", parse([text]))


def test_prefixes_of_a_command() -> None:
    unit = service("a.service", parse(["[Service]\nExecStart=/bin/a\nExecStartPost=-+/bin/b\nExecStartPost=@/bin/c name x\n"]))
    assert unit.start_post == (Command(("/bin/b",), optional=True, privileged=True), Command(("/bin/c", "x")))


def test_several_commands_of_a_oneshot_on_one_line() -> None:
    unit = service("a.service", parse(["[Service]\nType=oneshot\nExecStart=/bin/a x ; -/bin/b\n"]))
    assert unit.start == (Command(("/bin/a", "x")), Command(("/bin/b",), optional=True))
