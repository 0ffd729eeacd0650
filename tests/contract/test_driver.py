"""The contract of `compute/driver.py`, sentence by sentence, over every driver."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from driver_lab import Machine, Other, Program, eventually, guest_file

from windtunnel.compute.driver import Exited, Gone, Handle, NoSuchImage, NotRunning, Running, SandboxError, SandboxSpec

WAITS = Program(b"ready\n", code=None)


# -- start


def test_a_boot_says_its_output_and_its_exit_code(lab: Machine) -> None:
    handle = lab.start("one", Program(b"hello\n", code=3))
    exited = lab.exited(handle)
    assert (exited.code, exited.signal, exited.oom_killed, exited.lost) == (3, None, False, False)
    assert lab.output(handle) == b"hello\n"
    assert not exited.succeeded


def test_the_same_token_again_is_the_same_boot(lab: Machine) -> None:
    first = lab.start("one", WAITS)
    assert lab.start("one", WAITS) == first
    assert lab.start("one", Program(b"other\n")) == first
    assert lab.driver.recover() == [first]


def test_the_same_token_after_the_end_starts_nothing(lab: Machine) -> None:
    first = lab.start("one", Program(b"once\n"))
    lab.exited(first)
    assert lab.start("one", Program(b"once\n")) == first
    assert lab.output(first) == b"once\n"


def test_another_token_while_it_runs_is_refused(lab: Machine) -> None:
    lab.start("one", WAITS, keep=True)
    with pytest.raises(SandboxError, match="runs already"):
        lab.start("one", WAITS, token="second", keep=True)


def test_another_token_on_a_disk_that_was_not_kept_is_refused(lab: Machine) -> None:
    lab.exited(lab.start("one", Program()))
    with pytest.raises(SandboxError, match="not kept"):
        lab.start("one", Program(), token="second")


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"id": "Upper"}, id="an id with capitals"),
        pytest.param({"id": "../x"}, id="an id that leads elsewhere"),
        pytest.param({"argv": ()}, id="no command"),
        pytest.param({"cwd": "relative"}, id="a relative working directory"),
        pytest.param({"files": (guest_file("etc/x", ""),)}, id="a relative file"),
        pytest.param({"env": {"A=B": "c"}}, id="a variable name with an equals sign"),
    ],
)
def test_a_malformed_spec_is_a_value_error(lab: Machine, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        lab.driver.start(SandboxSpec(**({"id": "one", "image": "stock", "argv": ("true",)} | wrong)), "t")
    assert lab.driver.orphans(()) == []


def test_a_command_that_is_not_there_is_told_at_start(real_lab: Machine) -> None:
    with pytest.raises(SandboxError, match="no-such-program"):
        real_lab.driver.start(SandboxSpec(id="one", image="stock", argv=("no-such-program",)), "first")
    handle = real_lab.start("one", Program(b"now\n"))
    real_lab.exited(handle)
    assert real_lab.output(handle) == b"now\n"


# -- status, watch, logs


def test_status_is_running_until_the_end(lab: Machine) -> None:
    handle = lab.start("one", WAITS)
    lab.wait_output(handle, b"ready")
    assert lab.driver.status(handle) == Running()
    lab.driver.stop(handle, 20)
    assert isinstance(lab.driver.status(handle), Exited)


def test_an_unknown_boot_is_gone(lab: Machine) -> None:
    handle = lab.start("one", Program())
    lab.exited(handle)
    lab.driver.remove(handle)
    assert lab.driver.status(handle) == Gone()
    assert lab.driver.logs(handle, 0) == ([], 0)
    assert lab.driver.stop(handle) == Gone()


class Ends:
    def __init__(self) -> None:
        self.seen: list[tuple[Handle, Exited]] = []
        self.some = threading.Event()

    def __call__(self, handle: Handle, exited: Exited) -> None:
        self.seen.append((handle, exited))
        self.some.set()


def test_a_watch_is_called_once_when_it_ends(lab: Machine) -> None:
    ends = Ends()
    handle = lab.start("one", WAITS)
    lab.driver.watch(handle, ends)
    lab.wait_output(handle, b"ready")
    assert not ends.some.is_set()
    exited = lab.driver.stop(handle, 20)
    assert ends.some.wait(10)
    assert ends.seen == [(handle, exited)]


def test_a_watch_set_after_the_end_is_called_at_once(lab: Machine) -> None:
    ends = Ends()
    handle = lab.start("one", Program(code=4))
    lab.exited(handle)
    lab.driver.watch(handle, ends)
    assert ends.some.wait(10)
    assert [exited.code for _, exited in ends.seen] == [4]


def test_a_watched_boot_that_is_removed_has_ended(lab: Machine) -> None:
    ends = Ends()
    handle = lab.start("one", WAITS)
    lab.driver.watch(handle, ends)
    lab.driver.remove("one")
    assert ends.some.wait(10)
    assert ends.seen[0][1].signal == signal.SIGKILL


def test_logs_are_read_on_from_the_offset(lab: Machine) -> None:
    handle = lab.start("one", WAITS)
    lab.wait_output(handle, b"ready")
    frames, offset = lab.driver.logs(handle, 0)
    assert b"".join(frame.data for frame in frames) == b"ready\n"
    assert lab.driver.logs(handle, offset) == ([], offset)


def test_a_log_is_read_in_pieces_of_the_limit(real_lab: Machine) -> None:
    handle = real_lab.sh("one", "i=0; while [ $i -lt 60 ]; do echo line $i; i=$((i+1)); sleep 0.002; done; echo end >&2")
    real_lab.exited(handle)
    frames, offset, reads = [], 0, 0
    while True:
        more, after = real_lab.driver.logs(handle, offset, limit=100)
        if after == offset:
            break
        reads += 1
        frames += more
        offset = after
    text = b"".join(frame.data for frame in frames if frame.stream == "stdout")
    assert text == b"".join(b"line %d\n" % n for n in range(60))
    assert [frame.data for frame in frames if frame.stream == "stderr"] == [b"end\n"]
    assert [frame.time for frame in frames] == sorted(frame.time for frame in frames)
    assert reads >= 2


def test_a_frame_larger_than_the_limit_is_still_read(real_lab: Machine) -> None:
    handle = real_lab.sh("one", "head -c 3000000 /dev/zero")
    real_lab.exited(handle)
    frames, offset = real_lab.driver.logs(handle, 0, limit=1)
    assert len(frames) == 1
    assert len(real_lab.output(handle)) == 3_000_000


# -- stop, remove


def test_stop_asks_first(real_lab: Machine) -> None:
    handle = real_lab.start("one", WAITS)
    real_lab.wait_output(handle, b"ready")
    exited = real_lab.driver.stop(handle, 20)
    assert isinstance(exited, Exited) and exited.code == 7
    assert real_lab.driver.stop(handle, 20) == exited


def test_stop_kills_who_does_not_listen(real_lab: Machine) -> None:
    handle = real_lab.sh("one", "trap '' TERM; echo ready; while :; do sleep 1000; done")
    real_lab.wait_output(handle, b"ready")
    exited = real_lab.driver.stop(handle, 0.1)
    assert isinstance(exited, Exited) and exited.signal == signal.SIGKILL


def test_what_the_first_process_leaves_behind_ends_with_it(real_lab: Machine) -> None:
    handle = real_lab.sh("one", "setsid sleep 4711 & sleep 0.1; exit 0")
    real_lab.exited(handle)
    eventually("the supervisor has ended", lambda: not Path(f"/proc/{handle.shim_pid}/exe").exists())
    assert not processes_of(["sleep", "4711"])


def test_remove_is_repeatable_and_takes_running_sandboxes(lab: Machine) -> None:
    handle = lab.start("one", WAITS)
    lab.driver.remove(handle)
    lab.driver.remove("one")
    lab.driver.remove("never-was")
    assert lab.driver.orphans(()) == []
    assert lab.driver.recover() == []


def test_orphans_are_what_nobody_owns(lab: Machine) -> None:
    lab.start("mine", WAITS)
    lab.exited(lab.start("forgotten", Program()))
    lab.start("lost", WAITS)
    assert lab.driver.orphans(["mine"]) == ["forgotten", "lost"]


def test_a_kept_disk_boots_again_with_its_files(real_lab: Machine) -> None:
    files = (guest_file("/data/given", "from outside"),)
    where = "." if real_lab.confines else "$HOME"
    first = real_lab.sh("one", f"cd /data 2>/dev/null || cd {where}/data; cat given; echo written > own", keep=True, files=files)
    assert real_lab.exited(first).code == 0
    script = f"cd /data 2>/dev/null || cd {where}/data; cat own given"
    second = real_lab.sh("one", script, token="second", keep=True, files=(guest_file("/data/given", "anew"),))
    assert real_lab.exited(second).code == 0
    assert real_lab.output(second) == b"written\nanew"
    assert real_lab.output(first) == b"from outside"


# -- exec, read_file


def test_exec_gives_code_output_and_input(real_lab: Machine) -> None:
    handle = real_lab.start("one", WAITS)
    result = real_lab.driver.exec(handle, ("sh", "-c", "cat; echo $GREETING >&2; exit 5"), env={"GREETING": "hi"}, stdin=b"typed")
    assert (result.code, result.stdout, result.stderr, result.timed_out) == (5, b"typed", b"hi\n", False)


def test_exec_does_not_wait_for_what_it_leaves_in_the_background(real_lab: Machine) -> None:
    handle = real_lab.start("one", WAITS)
    result = real_lab.driver.exec(handle, ("sh", "-c", "sleep 20 & echo done"), timeout=15)
    assert (result.code, result.stdout) == (0, b"done\n")


def test_exec_ends_at_its_time_with_its_group(real_lab: Machine) -> None:
    handle = real_lab.start("one", WAITS)
    result = real_lab.driver.exec(handle, ("sh", "-c", "echo begun; sleep 4712; echo never"), timeout=0.5)
    assert (result.code, result.stdout, result.timed_out) == (None, b"begun\n", True)
    eventually("the command is gone", lambda: not processes_of(["sleep", "4712"]))


def test_exec_holds_back_what_is_too_much(real_lab: Machine) -> None:
    handle = real_lab.start("one", WAITS)
    result = real_lab.driver.exec(handle, ("head", "-c", str(17 << 20), "/dev/zero"))
    assert (result.code, len(result.stdout), result.truncated) == (0, 16 << 20, True)


@pytest.mark.parametrize(("command", "code"), [("no-such-program", 127), ("/etc/passwd", 126)])
def test_exec_of_what_cannot_be_executed(real_lab: Machine, command: str, code: int) -> None:
    handle = real_lab.start("one", WAITS)
    result = real_lab.driver.exec(handle, (command,))
    assert result.code == code
    assert command.encode() in result.stderr


def test_nothing_is_executed_or_read_after_the_end(lab: Machine) -> None:
    handle = lab.start("one", Program())
    lab.exited(handle)
    with pytest.raises(NotRunning):
        lab.driver.exec(handle, ("true",))
    with pytest.raises(NotRunning):
        lab.driver.read_file(handle, "/etc/passwd")


def test_read_file(lab: Machine) -> None:
    handle = lab.start("one", WAITS, files=(guest_file("/srv/deep/file", "content"),))
    assert lab.driver.read_file(handle, "/srv/deep/file") == b"content"
    with pytest.raises(FileNotFoundError):
        lab.driver.read_file(handle, "/srv/deep/none")
    with pytest.raises(OSError):
        lab.driver.read_file(handle, "/srv/deep/file", limit=3)


# -- after a crash


def test_what_runs_is_found_after_a_restart(lab: Machine) -> None:
    handle = lab.start("one", WAITS)
    lab.exited(lab.start("two", Program()))
    assert lab.restart() == [handle]
    assert lab.driver.running() == [handle]
    ends = Ends()
    lab.driver.watch(handle, ends)
    lab.driver.stop(handle, 0)
    assert ends.some.wait(10)
    assert lab.driver.running() == []


def waiting_spec(**more: Any) -> SandboxSpec:
    return SandboxSpec(id="one", image="stock", argv=WAITS.argv, **more)


def test_a_sandbox_outlives_the_kill_of_its_cloud(real_lab: Machine) -> None:
    other = Other(real_lab, waiting_spec())
    told = other.line()
    other.kill()
    real_lab.driver = real_lab.make()
    running = real_lab.driver.recover()
    assert [(handle.id, handle.pid, handle.token) for handle in running] == [("one", told["pid"], "first")]
    assert real_lab.driver.start(waiting_spec(), "first") == running[0]
    real_lab.wait_output(running[0], b"ready")
    exited = real_lab.driver.stop(running[0], 20)
    assert isinstance(exited, Exited) and exited.code == 7


def test_an_end_while_no_cloud_ran_is_known(real_lab: Machine) -> None:
    other = Other(real_lab, waiting_spec())
    told = other.line()
    other.kill()
    logs = list(Path(told["directory"]).glob("boots/*/log"))
    eventually("it has its handler", lambda: any(b"ready" in log.read_bytes() for log in logs))
    os.kill(told["pid"], signal.SIGTERM)
    eventually("the supervisor has ended", lambda: not Path(f"/proc/{told['shim_pid']}/exe").exists())
    real_lab.driver = real_lab.make()
    assert real_lab.driver.recover() == []
    handle = real_lab.driver.start(waiting_spec(), "first")
    status = real_lab.driver.status(handle)
    assert isinstance(status, Exited) and status.code == 7


def test_a_second_cloud_on_the_same_directory_is_refused(real_lab: Machine) -> None:
    with pytest.raises(SandboxError, match="in charge"):
        real_lab.make()


def test_a_killed_supervisor_is_told_as_a_lost_boot(real_lab: Machine) -> None:
    ends = Ends()
    handle = real_lab.start("one", WAITS)
    real_lab.driver.watch(handle, ends)
    os.kill(handle.shim_pid, signal.SIGKILL)
    assert ends.some.wait(20)
    assert ends.seen[0][1].lost
    eventually("the guest is gone", lambda: not Path(f"/proc/{handle.pid}/exe").exists())
    assert isinstance(real_lab.driver.status(handle), Exited)


def test_a_sandbox_that_cannot_be_had_does_not_hide_the_others(real_lab: Machine, caplog: pytest.LogCaptureFixture) -> None:
    """One supervisor does not answer: stopped here, as by a debugger or a failing disk."""
    stuck, fine = real_lab.start("a-stuck", WAITS), real_lab.start("b-fine", WAITS)
    control = next((Path(stuck.directory) / "boots").iterdir()) / "control"
    hidden = control.with_name("hidden")
    control.rename(hidden)
    try:
        running = real_lab.restart()
        assert fine in running
        if real_lab.confines:
            assert stuck not in running
            assert "a-stuck is left alone" in caplog.text
    finally:
        hidden.rename(control)


def test_a_start_whose_service_fails_leaves_nothing(runc_lab: Machine) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the server is going down")

    greeter, runc_lab.greeter = runc_lab.greeter, broken  # type: ignore[assignment]
    runc_lab.restart()
    with pytest.raises(RuntimeError):
        runc_lab.start("one", WAITS)
    runc_lab.greeter = greeter
    runc_lab.restart()
    handle = runc_lab.start("one", WAITS)
    assert runc_lab.driver.running() == [handle]


def test_a_record_that_the_machine_s_crash_cut_short_counts_as_never_started(real_lab: Machine) -> None:
    handle = real_lab.start("one", Program(b"hello\n"))
    real_lab.exited(handle)
    real_lab.driver.close()
    [boot] = (Path(handle.directory) / "boots").iterdir()
    (boot / "state.json").write_text('{"phase": "started", "id": "one"}')
    (boot / "exit.json").unlink()
    real_lab.driver = real_lab.make()
    assert real_lab.driver.recover() == []
    again = real_lab.start("one", Program(b"hello\n"))
    real_lab.exited(again)
    assert real_lab.output(again) == b"hello\n"


def test_many_at_once(real_lab: Machine) -> None:
    handles: list[Handle] = []
    threads = [
        threading.Thread(target=lambda n=n: handles.append(real_lab.start(f"box-{n}", Program(b"out %d\n" % n, code=n)))) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(real_lab.exited(handle).code or 0 for handle in handles) == list(range(8))
    assert sorted(real_lab.output(handle) for handle in handles) == [b"out %d\n" % n for n in range(8)]


# -- images, addresses


def test_an_unknown_image_is_told(runc_lab: Machine) -> None:
    with pytest.raises(NoSuchImage):
        runc_lab.driver.start(SandboxSpec(id="one", image="nothing", argv=("true",)), "t")


def test_an_address_belongs_to_an_id_until_it_is_removed(lab: Machine) -> None:
    address = lab.driver.reserve_address("one")
    if address is None:
        assert lab.driver.subnet() is None
        return
    assert lab.driver.reserve_address("one") == address
    assert lab.driver.reserve_address("two") != address
    assert lab.start("one", Program()).ip == address
    assert "two" in lab.driver.orphans(["one"])
    lab.driver.remove("two")
    assert lab.driver.orphans(["one"]) == []


def processes_of(argv: list[str]) -> list[int]:
    wanted = b"\0".join(word.encode() for word in argv) + b"\0"
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cmdline").read_bytes() == wanted:
                found.append(int(entry.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
