"""Whole requests over many units, on a machine made of dictionaries."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from windtunnel.guest.manager import CannotLoad, CannotSpawn, Manager
from windtunnel.guest.procs import Process
from windtunnel.guest.unitfile import Command, Service, parse, service


class FakeHost:
    """Unit texts, a process table and a clock, all set by the test."""

    def __init__(self, units: dict[str, str]) -> None:
        self.units = units
        self.rows: dict[int, Process] = {}
        self.time = 0.0
        self.spawned: list[str] = []
        self.killed: list[tuple[int, str]] = []
        self.said: list[str] = []
        self.pid_files: dict[str, int] = {}
        self.missing: set[str] = set()

    def load(self, name: str) -> Service:
        if name not in self.units:
            raise CannotLoad("not-found", f"Unit {name} not found.")
        text = self.units[name]
        if text.startswith("->"):
            return self.load(text[2:])
        return service(name, parse([text]))

    def members_of_target(self, name: str) -> list[str]:
        return []

    def skip(self, service: Service) -> str:
        return "skipped" if service.conditions else ""

    def now(self) -> float:
        return self.time

    def ticks(self) -> int:
        return int(self.time * 100)

    def table(self) -> Mapping[int, Process]:
        return self.rows

    def spawn(self, service: Service, command: Command, extra: Mapping[str, str]) -> int:
        if command.words[0] in self.missing:
            raise CannotSpawn(203, f"Failed to execute {command.words[0]}")
        pid = 100 + len(self.spawned)
        self.spawned.append(" ".join(command.words))
        self.rows[pid] = Process(pid, 1, pid, self.ticks(), "S")
        return pid

    def kill(self, pid: int, signal: str) -> None:
        self.killed.append((pid, signal))

    def read_pid(self, path: str) -> int:
        return self.pid_files.get(path, 0)

    def say(self, unit: str, text: str) -> None:
        self.said.append(text)


class Lab:
    def __init__(self, **units: str) -> None:
        self.host = FakeHost({f"{name.replace('_', '-')}.service": text for name, text in units.items()})
        self.manager = Manager(self.host)
        self.answers: list[dict[str, str]] = []

    def ask(self, verb: str, *names: str) -> None:
        self.manager.submit(verb, [f"{name}.service" for name in names], self.answers.append)

    def end(self, pid: int, code: int = 0, signal: str = "") -> None:
        del self.host.rows[pid]
        self.manager.reaped(pid, code, signal)
        self.manager.look()

    def pid(self, command: str) -> int:
        return 100 + self.host.spawned.index(command)

    def sub(self, name: str) -> str:
        return str(self.manager.show(f"{name}.service")["SubState"])


def test_wanted_units_start_with_it_and_those_before_it_first() -> None:
    lab = Lab(
        web="[Unit]\nWants=db.service cache.service\nAfter=db.service\n[Service]\nExecStart=web",
        db="[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=db",
        cache="[Service]\nExecStart=cache",
    )
    lab.ask("start", "web")
    assert set(lab.host.spawned) == {"db", "cache"}, "web waits for db, cache waits for nobody"
    lab.end(lab.pid("db"))
    assert lab.host.spawned[-1] == "web"
    assert lab.answers == [{"web.service": ""}]


def test_a_failed_requirement_fails_what_requires_it() -> None:
    lab = Lab(web="[Unit]\nRequires=db.service\n[Service]\nExecStart=web", db="[Service]\nType=oneshot\nExecStart=db")
    lab.ask("start", "web")
    lab.end(lab.pid("db"), 1)
    assert lab.answers == [{"web.service": "dependency"}]
    assert "web" not in lab.host.spawned


def test_a_requirement_that_does_not_exist_fails_at_once_and_a_wish_does_not() -> None:
    lab = Lab(a="[Unit]\nRequires=x.service\n[Service]\nExecStart=a", b="[Unit]\nWants=x.service\n[Service]\nExecStart=b")
    lab.ask("start", "a", "b")
    assert lab.answers == [{"a.service": "Unit x.service not found.", "b.service": ""}]


def test_units_that_order_themselves_in_a_circle_still_start() -> None:
    lab = Lab(
        a="[Unit]\nAfter=b.service\nRequires=b.service\n[Service]\nExecStart=a",
        b="[Unit]\nAfter=a.service\nRequires=a.service\n[Service]\nExecStart=b",
    )
    lab.ask("start", "a")
    assert sorted(lab.host.spawned) == ["a", "b"]
    assert lab.answers == [{"a.service": ""}]


def test_an_alias_is_the_same_unit() -> None:
    lab = Lab(apache2="[Service]\nExecStart=apache", httpd="->apache2.service")
    lab.ask("start", "httpd")
    lab.ask("start", "apache2")
    assert lab.host.spawned == ["apache"]
    assert lab.answers == [{"httpd.service": ""}, {"apache2.service": ""}]


def test_a_killed_service_with_restart_always_comes_back() -> None:
    lab = Lab(web="[Service]\nExecStart=web\nRestart=always\nRestartSec=2")
    lab.ask("start", "web")
    lab.end(100, 0, "KILL")
    assert lab.sub("web") == "auto-restart"
    assert lab.manager.next_deadline() == 2
    lab.host.time = 2.0
    lab.manager.tick()
    assert lab.sub("web") == "running"
    assert lab.host.spawned == ["web", "web"]


def test_a_stop_waits_for_children_that_outlive_the_main_process() -> None:
    lab = Lab(web="[Service]\nExecStart=web")
    lab.ask("start", "web")
    lab.host.rows[500] = Process(500, 100, 100, 1, "S")
    lab.ask("stop", "web")
    assert lab.host.killed == [(100, "TERM"), (500, "TERM")]
    lab.end(100, 0, "TERM")
    assert lab.answers == [{"web.service": ""}], "only the start is answered"
    del lab.host.rows[500]
    lab.manager.look()
    assert lab.answers == [{"web.service": ""}, {"web.service": ""}]


def test_a_daemon_that_forks_away_is_found_by_its_pid_file() -> None:
    lab = Lab(web="[Service]\nType=forking\nPIDFile=/run/web.pid\nExecStart=web")
    lab.ask("start", "web")
    lab.host.rows[300] = Process(300, 1, 300, 5, "S")
    lab.host.pid_files["/run/web.pid"] = 300
    lab.end(100)
    assert lab.manager.show("web.service")["MainPID"] == "300"
    lab.ask("stop", "web")
    assert (300, "TERM") in lab.host.killed


def test_a_daemon_without_a_pid_file_is_the_orphan_that_its_start_left() -> None:
    lab = Lab(web="[Service]\nType=forking\nExecStart=web")
    lab.host.rows[50] = Process(50, 1, 50, 0, "S")
    lab.host.time = 1.0
    lab.ask("start", "web")
    lab.host.rows[300] = Process(300, 1, 300, 120, "S")
    lab.end(100)
    assert lab.manager.show("web.service")["MainPID"] == "300"


def test_ready_counts_from_any_process_of_the_service_and_from_no_other() -> None:
    lab = Lab(web="[Service]\nType=notify\nExecStart=web", other="[Service]\nExecStart=other")
    lab.ask("start", "web", "other")
    assert lab.answers == []
    lab.host.rows[500] = Process(500, 100, 100, 1, "S")
    lab.manager.notified(101, "READY=1")
    lab.manager.notified(100, "STATUS=soon")
    assert lab.sub("web") == "start"
    lab.manager.notified(500, "STATUS=up\nREADY=1\nMAINPID=500")
    assert lab.answers == [{"web.service": "", "other.service": ""}]
    assert lab.manager.show("web.service")["MainPID"] == "500"


def test_stopping_everything_goes_backwards() -> None:
    lab = Lab(
        db="[Service]\nExecStart=db",
        web="[Unit]\nAfter=db.service\n[Service]\nExecStart=web",
    )
    lab.ask("start", "db", "web")
    lab.manager.stop_all(lab.answers.append)
    assert lab.host.killed == [(lab.pid("web"), "TERM")]
    lab.end(lab.pid("web"), 0, "TERM")
    assert lab.host.killed[-1] == (lab.pid("db"), "TERM")
    lab.end(lab.pid("db"), 0, "TERM")
    assert len(lab.answers) == 2


def test_what_is_part_of_a_unit_stops_with_it() -> None:
    lab = Lab(web="[Service]\nExecStart=web", worker="[Unit]\nPartOf=web.service\n[Service]\nExecStart=worker")
    lab.ask("start", "web", "worker")
    lab.ask("stop", "web")
    assert {pid for pid, _ in lab.host.killed} == {100, 101}


def test_a_unit_file_that_changed_counts_after_daemon_reload_while_it_runs() -> None:
    lab = Lab(web="[Service]\nExecStart=old\nKillMode=process")
    lab.ask("start", "web")
    lab.host.units["web.service"] = "[Service]\nExecStart=new\nKillMode=process"
    lab.ask("restart", "web")
    lab.end(100, 0, "TERM")
    assert lab.host.spawned == ["old", "old"]
    lab.manager.reload_files()
    lab.ask("restart", "web")
    lab.end(101, 0, "TERM")
    assert lab.host.spawned[-1] == "new"


def test_a_program_that_is_missing_fails_the_start_and_says_so() -> None:
    lab = Lab(web="[Service]\nExecStart=web")
    lab.host.missing.add("web")
    lab.ask("start", "web")
    assert lab.answers == [{"web.service": "exit-code"}]
    assert any("Failed to execute web" in line for line in lab.host.said)


def test_a_unit_whose_conditions_do_not_hold_is_skipped_without_failing() -> None:
    lab = Lab(web="[Unit]\nConditionPathExists=/none\n[Service]\nExecStart=web")
    lab.ask("start", "web")
    assert lab.answers == [{"web.service": ""}]
    assert lab.host.spawned == []


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "reload"])
def test_an_unknown_unit_is_answered_by_name(verb: str) -> None:
    lab = Lab()
    lab.ask(verb, "nothing")
    assert lab.answers == [{"nothing.service": "Unit nothing.service not found."}]


def test_what_is_not_enforced_is_said_when_the_unit_starts() -> None:
    lab = Lab(web="[Service]\nExecStart=web\nProtectSystem=strict")
    lab.ask("start", "web")
    assert "web.service: not enforced by this image's init: ProtectSystem" in lab.host.said
