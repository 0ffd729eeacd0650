"""The life of a service: each test is a story told in events, read back from the actions and states."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.guest.machine import Action, Arm, CheckGone, FindMain, Kill, Machine, Say, Settled, Spawn
from windtunnel.guest.unitfile import parse, service


def machine(*lines: str) -> Machine:
    text = "[Service]\n" + "\n".join(line for line in lines if not line.startswith("StartLimit"))
    limits = "[Unit]\nDescription=web\n" + "\n".join(line for line in lines if line.startswith("StartLimit"))
    return Machine(service("web.service", parse([limits, text])))


def told(actions: Iterable[Action]) -> list[Action]:
    """Without the words and the timers."""
    return [action for action in actions if not isinstance(action, Say | Arm)]


def commands(actions: Iterable[Action]) -> list[str]:
    return [" ".join(a.command.words) for a in actions if isinstance(a, Spawn)]


def running(*lines: str) -> Machine:
    m = machine("ExecStart=/bin/web", *lines)
    m.start(0)
    m.spawned(10, True, 0)
    assert m.sub == "running"
    return m


def test_a_simple_service_is_started_when_its_process_is() -> None:
    m = machine("ExecStart=/bin/web")
    assert commands(m.start(0)) == ["/bin/web"]
    assert m.active == "activating"
    assert told(m.spawned(10, True, 0)) == [Settled("start", True)]
    assert (m.active, m.sub, m.main_pid) == ("active", "running", 10)


def test_pre_and_post_commands_run_in_order_around_the_main_one() -> None:
    m = machine("ExecStartPre=/bin/one", "ExecStartPre=/bin/two", "ExecStart=/bin/web", "ExecStartPost=/bin/three")
    assert commands(m.start(0)) == ["/bin/one"]
    m.spawned(1, False, 0)
    assert commands(m.exited(1, 0, "", 0)) == ["/bin/two"]
    m.spawned(2, False, 0)
    assert commands(m.exited(2, 0, "", 0)) == ["/bin/web"]
    assert commands(m.spawned(3, True, 0)) == ["/bin/three"]
    m.spawned(4, False, 0)
    assert told(m.exited(4, 0, "", 0)) == [Settled("start", True)]


def test_a_failing_pre_command_fails_the_start() -> None:
    m = machine("ExecStartPre=/bin/one", "ExecStart=/bin/web")
    m.start(0)
    m.spawned(1, False, 0)
    m.exited(1, 2, "", 0)
    assert Settled("start", False) in m.gone(0)
    assert (m.sub, m.result) == ("failed", "exit-code")


def test_a_pre_command_with_a_minus_may_fail() -> None:
    m = machine("ExecStartPre=-/bin/one", "ExecStart=/bin/web")
    m.start(0)
    m.spawned(1, False, 0)
    assert commands(m.exited(1, 2, "", 0)) == ["/bin/web"]


def test_a_command_that_cannot_be_executed_fails_the_start_with_203() -> None:
    m = machine("ExecStart=/bin/none")
    m.start(0)
    m.exited(0, 203, "", 0)
    m.gone(0)
    assert (m.sub, m.result) == ("failed", "exit-code")


def test_a_forking_service_is_started_when_its_main_process_is_known() -> None:
    m = machine("Type=forking", "PIDFile=/run/web.pid", "ExecStart=/bin/web -d")
    m.start(0)
    m.spawned(1, False, 0)
    assert told(m.exited(1, 0, "", 0)) == [FindMain()]
    assert isinstance(m.main_found(0, 0)[0], Arm), "the pid file is not there yet: look again soon"
    assert m.timer(0.02) == [FindMain()]
    assert Settled("start", True) in m.main_found(7, 0.02)
    assert (m.sub, m.main_pid) == ("running", 7)


def test_a_forking_service_whose_pid_file_never_comes_times_out() -> None:
    m = machine("Type=forking", "PIDFile=/run/web.pid", "ExecStart=/bin/web -d", "TimeoutStartSec=3")
    m.start(0)
    m.spawned(1, False, 0)
    m.exited(1, 0, "", 0)
    m.main_found(0, 0)
    assert CheckGone("all") in m.timer(3.1)
    assert m.result == "timeout"


def test_a_service_that_notifies_is_started_when_it_says_so() -> None:
    m = machine("Type=notify", "ExecStart=/bin/web")
    m.start(0)
    assert m.spawned(10, True, 0) == []
    assert m.active == "activating"
    assert told(m.ready(0, 3)) == [Settled("start", True)]
    assert (m.sub, m.main_pid) == ("running", 10)
    assert m.ready(0, 4) == [], "saying it again changes nothing"


def test_a_service_that_ends_before_it_notifies_has_failed() -> None:
    m = machine("Type=notify", "ExecStart=/bin/web")
    m.start(0)
    m.spawned(10, True, 0)
    m.exited(10, 0, "", 1)
    assert Settled("start", False) in m.gone(1)
    assert (m.sub, m.result) == ("failed", "protocol")


def test_a_service_that_never_notifies_times_out() -> None:
    m = machine("Type=notify", "ExecStart=/bin/web", "TimeoutStartSec=5")
    m.start(0)
    m.spawned(10, True, 0)
    assert Kill("TERM", "all") in m.timer(5)
    assert m.result == "timeout"


def test_a_oneshot_is_done_when_its_last_command_is() -> None:
    m = machine("Type=oneshot", "ExecStart=/bin/a", "ExecStart=/bin/b")
    m.start(0)
    m.spawned(1, True, 0)
    assert commands(m.exited(1, 0, "", 0)) == ["/bin/b"]
    m.spawned(2, True, 0)
    assert Settled("start", True) in m.exited(2, 0, "", 0)
    m.gone(0)
    assert m.sub == "dead"


def test_a_oneshot_that_remains_is_active_until_it_is_stopped() -> None:
    m = machine("Type=oneshot", "RemainAfterExit=yes", "ExecStart=/bin/a", "ExecStop=/bin/undo")
    m.start(0)
    m.spawned(1, True, 0)
    m.exited(1, 0, "", 0)
    assert (m.active, m.sub) == ("active", "exited")
    assert commands(m.stop(0)) == ["/bin/undo"]


def test_stopping_sends_sigterm_to_all_and_waits() -> None:
    m = running()
    assert told(m.stop(1)) == [Settled("start", False), Kill("TERM", "all"), CheckGone("all")]
    m.exited(10, 0, "TERM", 1)
    assert Settled("stop", True) in m.gone(1)
    assert (m.sub, m.result) == ("dead", "success")


@pytest.mark.parametrize(
    "mode, kills",
    [
        pytest.param("control-group", [Kill("TERM", "all"), CheckGone("all")], id="everybody"),
        pytest.param("mixed", [Kill("TERM", "main"), CheckGone("all")], id="the main process first"),
        pytest.param("process", [Kill("TERM", "main"), CheckGone("main")], id="the main process only"),
    ],
)
def test_kill_modes(mode: str, kills: list[Action]) -> None:
    assert told(running(f"KillMode={mode}").stop(0))[1:] == kills


def test_mixed_kills_the_rest_when_the_main_process_has_gone() -> None:
    m = running("KillMode=mixed")
    m.stop(0)
    assert Kill("KILL", "all") in m.exited(10, 0, "", 0)


def test_who_ignores_sigterm_is_killed_after_the_timeout() -> None:
    m = running("TimeoutStopSec=5")
    assert Arm(5) in m.stop(0)
    assert Kill("KILL", "all") in m.timer(5)
    m.exited(10, 0, "KILL", 5)
    m.gone(5)
    assert (m.sub, m.result) == ("failed", "timeout")


@pytest.mark.parametrize(
    "restart, code, signal, again",
    [
        pytest.param("no", 1, "", False, id="no: it failed"),
        pytest.param("always", 0, "", True, id="always: it ended well"),
        pytest.param("always", 0, "KILL", True, id="always: it was killed"),
        pytest.param("on-failure", 0, "", False, id="on-failure: it ended well"),
        pytest.param("on-failure", 3, "", True, id="on-failure: it failed"),
        pytest.param("on-failure", 0, "TERM", False, id="on-failure: a clean signal"),
        pytest.param("on-failure", 0, "SEGV", True, id="on-failure: it crashed"),
        pytest.param("on-success", 0, "", True, id="on-success: it ended well"),
        pytest.param("on-abnormal", 3, "", False, id="on-abnormal: it failed by itself"),
        pytest.param("on-abnormal", 0, "SEGV", True, id="on-abnormal: it crashed"),
    ],
)
def test_restart(restart: str, code: int, signal: str, again: bool) -> None:
    m = running(f"Restart={restart}", "RestartSec=2")
    m.exited(10, code, signal, 1)
    actions = m.gone(1)
    assert (m.sub == "auto-restart") == again
    assert (Arm(2) in actions) == again
    if again:
        assert commands(m.timer(3)) == ["/bin/web"]


def test_a_stopped_service_is_not_restarted() -> None:
    m = running("Restart=always")
    m.stop(0)
    m.exited(10, 0, "TERM", 0)
    m.gone(0)
    assert m.sub == "dead"


def test_a_stop_while_it_waits_for_its_restart_ends_it() -> None:
    m = running("Restart=always")
    m.exited(10, 1, "", 0)
    m.gone(0)
    assert Settled("stop", True) in m.stop(0.05)
    assert m.active != "activating"


def test_the_exit_codes_of_an_unit_decide_about_success_and_restart() -> None:
    m = running("Restart=on-failure", "SuccessExitStatus=143", "RestartPreventExitStatus=9")
    m.exited(10, 143, "", 0)
    m.gone(0)
    assert (m.sub, m.result) == ("dead", "success")
    m = running("Restart=on-failure", "RestartPreventExitStatus=9")
    m.exited(10, 9, "", 0)
    m.gone(0)
    assert m.sub == "failed"


def test_restarting_too_often_gives_up() -> None:
    m = machine("ExecStart=/bin/web", "Restart=always", "StartLimitBurst=3", "StartLimitIntervalSec=10")
    actions = m.start(0)
    for turn in range(3):
        assert commands(actions) == ["/bin/web"]
        m.spawned(turn + 1, True, 0)
        m.exited(turn + 1, 1, "", 0)
        m.gone(0)
        actions = m.timer(0.1)
    assert (m.sub, m.exhausted) == ("failed", True)
    m.reset_failed(1)
    assert commands(m.start(1)) == ["/bin/web"]


def test_a_start_during_a_stop_starts_afterwards() -> None:
    m = running()
    m.stop(0)
    assert m.start(0) == []
    m.exited(10, 0, "TERM", 0)
    actions = m.gone(0)
    assert Settled("stop", True) in actions
    assert commands(actions) == ["/bin/web"]


def test_a_restart_answers_when_it_runs_again() -> None:
    m = running()
    assert not any(isinstance(a, Settled) for a in m.restart(0))
    m.exited(10, 0, "TERM", 0)
    assert commands(m.gone(0)) == ["/bin/web"]
    assert told(m.spawned(11, True, 0)) == [Settled("start", True)]


def test_reload_runs_its_command_and_stays_active() -> None:
    m = running("ExecReload=/bin/kill -HUP $MAINPID")
    assert commands(m.reload(0)) == ["/bin/kill -HUP $MAINPID"]
    m.spawned(2, False, 0)
    assert Settled("reload", True) in m.exited(2, 0, "", 0)
    assert m.sub == "running"


def test_reload_of_what_cannot_reload_is_refused() -> None:
    assert running().reload(0) == [Settled("reload", False)]


def test_a_service_that_dies_runs_its_stop_commands() -> None:
    m = running("ExecStop=/bin/bye", "ExecStopPost=/bin/sweep")
    assert commands(m.exited(10, 1, "", 0)) == ["/bin/bye"]
    m.spawned(2, False, 0)
    m.exited(2, 0, "", 0)
    assert commands(m.gone(0)) == ["/bin/sweep"]
    m.spawned(3, False, 0)
    m.exited(3, 0, "", 0)
    assert (m.sub, m.result) == ("failed", "exit-code")


EVENTS: list[Callable[[Machine, float], list[Action]]] = [
    lambda m, now: m.start(now),
    lambda m, now: m.stop(now),
    lambda m, now: m.restart(now),
    lambda m, now: m.reload(now),
    lambda m, now: m.timer(now),
    lambda m, now: m.gone(now) if not (m.main_pid or m.control_pid) else [],
    lambda m, now: m.ready(0, now) if m.main_pid else [],
    lambda m, now: m.exited(m.main_pid, 0, "", now) if m.main_pid else [],
    lambda m, now: m.exited(m.main_pid, 1, "", now) if m.main_pid else [],
    lambda m, now: m.exited(m.control_pid, 0, "", now) if m.control_pid else [],
    lambda m, now: m.exited(m.control_pid, 0, "KILL", now) if m.control_pid else [],
]


def test_a_restart_during_a_reload_answers_the_reload() -> None:
    m = machine("ExecStart=/bin/a", "ExecReload=/bin/r", "ExecStop=/bin/s")
    m.start(0.0)
    m.spawned(100, True, 0.0)
    m.reload(0.1)
    m.spawned(101, False, 0.1)
    assert Settled("reload", False) in m.restart(0.2)


@given(
    lines=st.sampled_from(
        [
            ("ExecStart=/bin/a",),
            ("ExecStart=/bin/a", "Restart=always", "ExecStop=/bin/s", "ExecReload=/bin/r"),
            ("Type=oneshot", "ExecStart=/bin/a", "RemainAfterExit=yes", "ExecStop=/bin/s"),
            ("Type=notify", "ExecStart=/bin/a", "ExecStartPost=/bin/p", "KillMode=process"),
            ("Type=forking", "PIDFile=/run/a", "ExecStart=/bin/a", "ExecStartPre=/bin/p", "KillMode=mixed"),
        ]
    ),
    events=st.lists(st.integers(0, len(EVENTS) - 1), max_size=40),
)
def test_whatever_happens_a_stop_ends_it_and_every_request_is_answered(lines: tuple[str, ...], events: list[int]) -> None:
    m = machine(*lines, "StartLimitIntervalSec=0")
    pids = iter(range(100, 10000))
    open_requests: set[str] = set()

    def carry_out(actions: list[Action], now: float) -> None:
        todo = list(actions)
        while todo:
            action = todo.pop(0)
            if isinstance(action, Spawn):
                todo += m.spawned(next(pids), action.main, now)
            elif isinstance(action, Settled):
                open_requests.discard(action.kind)
            elif isinstance(action, FindMain):
                todo += m.main_found(next(pids), now)
            elif isinstance(action, CheckGone) and not m.main_pid and not m.control_pid:
                todo += m.gone(now)

    for number, event in enumerate(events):
        if event < 4 and (event < 3 or m.active == "active"):
            open_requests.add(("start", "stop", "start", "reload")[event])
        carry_out(EVENTS[event](m, number / 10), number / 10)
    now = 1000.0
    open_requests.add("stop")
    carry_out(m.stop(now), now)
    for _ in range(50):
        for pid in (m.main_pid, m.control_pid):
            if pid:
                carry_out(m.exited(pid, 0, "TERM", now), now)
        if not m.main_pid and not m.control_pid:
            carry_out(m.gone(now), now)
    assert m.sub in ("dead", "failed")
    assert not open_requests
