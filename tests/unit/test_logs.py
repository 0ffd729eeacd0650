"""CloudWatch Logs: groups, streams, events in order, pages that meet without gap or overlap."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import InProcessCloud
from windtunnel.kernel.clock import FixedClock
from windtunnel.kernel.errors import AwsError

NOW = 1_700_000_000_000
DAY = 86_400_000
ARN = "arn:aws:logs:us-east-1:123456789012:log-group:/g"


class Logs:
    """Operations by their snake-case name."""

    def __init__(self, cloud: InProcessCloud) -> None:
        self.cloud = cloud

    def __getattr__(self, name: str) -> Any:
        operation = "".join(part.capitalize() for part in name.split("_"))
        return lambda **args: self.cloud.api("logs", operation, **args)

    def put(self, stream: str, *events: tuple[int, str]) -> Any:
        return self.put_log_events(
            log_group_name="/g", log_stream_name=stream, log_events=[{"timestamp": at, "message": text} for at, text in events]
        )


@pytest.fixture()
def clock() -> FixedClock:
    return FixedClock(NOW / 1000)


@pytest.fixture()
def logs(tmp_path: Path, clock: FixedClock) -> Iterator[Logs]:
    with InProcessCloud(tmp_path, clock=clock) as cloud:
        made = Logs(cloud)
        made.create_log_group(log_group_name="/g", tags={"team": "a"})
        for stream in ("a", "b"):
            made.create_log_stream(log_group_name="/g", log_stream_name=stream)
        yield made


def refused(code: str, message: str = "") -> Any:
    class Caught:
        def __enter__(self) -> None:
            return None

        def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
            assert isinstance(error, AwsError), error
            assert error.code == code, error
            assert message in error.message, error
            return True

    return Caught()


def texts(reply: dict[str, Any]) -> list[str]:
    return [event["message"] for event in reply["events"]]


def test_groups_are_described_with_their_arns(logs: Logs) -> None:
    [group] = logs.describe_log_groups(log_group_name_prefix="/")["logGroups"]
    assert group == {
        "logGroupName": "/g",
        "creationTime": NOW,
        "metricFilterCount": 0,
        "arn": ARN + ":*",
        "storedBytes": 0,
        "logGroupClass": "STANDARD",
        "logGroupArn": ARN,
        "deletionProtectionEnabled": False,
    }


def test_what_exists_is_not_made_again_and_what_does_not_is_not_found(logs: Logs) -> None:
    with refused("ResourceAlreadyExistsException", "The specified log group already exists"):
        logs.create_log_group(log_group_name="/g")
    with refused("ResourceAlreadyExistsException", "The specified log stream already exists"):
        logs.create_log_stream(log_group_name="/g", log_stream_name="a")
    with refused("ResourceNotFoundException", "The specified log group does not exist."):
        logs.create_log_stream(log_group_name="/none", log_stream_name="a")
    with refused("ResourceNotFoundException", "The specified log stream does not exist."):
        logs.get_log_events(log_group_name="/g", log_stream_name="none")
    with refused("ResourceNotFoundException", "The specified log group does not exist."):
        logs.delete_log_group(log_group_name="/none")


def test_pages_forward_meet(logs: Logs) -> None:
    logs.put("a", *[(NOW + n, f"m{n}") for n in range(5)])
    first = logs.get_log_events(log_group_name="/g", log_stream_name="a", start_from_head=True, limit=3)
    second = logs.get_log_events(log_group_name="/g", log_stream_name="a", next_token=first["nextForwardToken"], limit=3)
    end = logs.get_log_events(log_group_name="/g", log_stream_name="a", next_token=second["nextForwardToken"], limit=3)
    assert (texts(first), texts(second), texts(end)) == (["m0", "m1", "m2"], ["m3", "m4"], [])
    assert end["nextForwardToken"] == second["nextForwardToken"]
    logs.put("a", (NOW + 9, "later"))
    assert texts(logs.get_log_events(log_group_name="/g", log_stream_name="a", next_token=end["nextForwardToken"])) == ["later"]


def test_pages_backward_meet(logs: Logs) -> None:
    logs.put("a", *[(NOW, f"m{n}") for n in range(5)])
    latest = logs.get_log_events(log_group_name="/g", log_stream_name="a", limit=3)
    before = logs.get_log_events(log_group_name="/g", log_stream_name="a", next_token=latest["nextBackwardToken"], limit=3)
    assert (texts(latest), texts(before)) == (["m2", "m3", "m4"], ["m0", "m1"])


def test_a_time_range_excludes_its_end(logs: Logs) -> None:
    logs.put("a", (NOW, "x"), (NOW + 1, "y"), (NOW + 2, "z"))
    assert texts(logs.get_log_events(log_group_name="/g", log_stream_name="a", start_time=NOW + 1, end_time=NOW + 2)) == ["y"]


def test_tokens_that_are_not_ours_are_refused(logs: Logs) -> None:
    for token in ("x", "f/1", "c/" + "0" * 56):
        with refused("InvalidParameterException", "The specified nextToken is invalid."):
            logs.get_log_events(log_group_name="/g", log_stream_name="a", next_token=token)
    with refused("InvalidParameterException", "The specified nextToken is invalid."):
        logs.filter_log_events(log_group_name="/g", next_token="x")


def test_filtering_interleaves_streams_by_time(logs: Logs) -> None:
    logs.put("a", (NOW, "ERROR 1"), (NOW + 2, "ERROR 3"))
    logs.put("b", (NOW + 1, "ERROR 2"), (NOW + 3, "fine"))
    found = logs.filter_log_events(log_group_identifier=ARN, filter_pattern="ERROR", interleaved=True)
    assert [(e["logStreamName"], e["message"]) for e in found["events"]] == [("a", "ERROR 1"), ("b", "ERROR 2"), ("a", "ERROR 3")]
    assert len({e["eventId"] for e in found["events"]}) == 3
    assert texts(logs.filter_log_events(log_group_name="/g", log_stream_names=["b"])) == ["ERROR 2", "fine"]
    assert texts(logs.filter_log_events(log_group_name="/g", log_stream_name_prefix="a", start_time=NOW + 1)) == ["ERROR 3"]


def test_filtering_many_events_of_many_streams_misses_none(logs: Logs) -> None:
    for n in range(120):
        logs.put("ab"[n % 3 == 0], *[(NOW + n * 10 + k, f"m{n}-{k}") for k in range(10)])
    assert texts(logs.filter_log_events(log_group_name="/g")) == [f"m{n}-{k}" for n in range(120) for k in range(10)]


def test_filtering_pages_meet(logs: Logs) -> None:
    for n in range(7):
        logs.put("ab"[n % 2], (NOW + n // 3, f"m{n}"))
    pages, token = [], None
    for _ in range(10):
        page = logs.filter_log_events(log_group_name="/g", limit=2, **({"next_token": token} if token else {}))
        pages += texts(page)
        token = page.get("nextToken")
        if token is None:
            break
    assert pages == [f"m{n}" for n in range(7)]


@pytest.mark.parametrize(
    "events, message",
    [
        pytest.param([(NOW, "a"), (NOW - 1, "b")], "chronological order", id="not in order"),
        pytest.param([(NOW - 2 * DAY, "a"), (NOW, "b")], "24 hours", id="more than a day"),
        pytest.param([(NOW, "x" * 1_048_577)], "Log event too large", id="too long"),
        pytest.param([(NOW, "x" * 900_000)] * 2, "Upload too large", id="too much"),
        pytest.param([(NOW, "x")] * 10_001, "Upload too large", id="too many"),
    ],
)
def test_a_bad_batch_is_refused_whole(logs: Logs, events: list[tuple[int, str]], message: str) -> None:
    with refused("InvalidParameterException", message):
        logs.put("a", *events)
    assert texts(logs.get_log_events(log_group_name="/g", log_stream_name="a")) == []


def test_events_too_old_or_too_new_are_parted(logs: Logs) -> None:
    assert logs.put("a", (NOW - 15 * DAY, "old"))["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    reply = logs.put("a", (NOW, "kept"), (NOW + 3 * 3_600_000, "new"))
    assert reply["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 1}
    assert texts(logs.get_log_events(log_group_name="/g", log_stream_name="a")) == ["kept"]


def test_what_has_passed_its_retention_is_not_shown(logs: Logs, clock: FixedClock) -> None:
    logs.put("a", (NOW, "x"))
    logs.put_retention_policy(log_group_name="/g", retention_in_days=3)
    clock.advance(4 * 86_400)
    assert texts(logs.filter_log_events(log_group_name="/g")) == []
    logs.delete_retention_policy(log_group_name="/g")
    assert texts(logs.filter_log_events(log_group_name="/g")) == ["x"]
    with refused("InvalidParameterException", "retentionInDays"):
        logs.put_retention_policy(log_group_name="/g", retention_in_days=2)


def test_streams_are_listed_by_name_or_by_their_last_event(logs: Logs) -> None:
    logs.put("a", (NOW + 5, "x"))
    logs.put("b", (NOW + 1, "x"))
    by_time = logs.describe_log_streams(log_group_name="/g", order_by="LastEventTime", descending=True, limit=1)
    rest = logs.describe_log_streams(log_group_name="/g", order_by="LastEventTime", descending=True, next_token=by_time["nextToken"])
    assert [s["logStreamName"] for s in by_time["logStreams"] + rest["logStreams"]] == ["a", "b"]
    assert by_time["logStreams"][0]["lastEventTimestamp"] == NOW + 5
    with refused("InvalidParameterException", "Cannot order by LastEventTime"):
        logs.describe_log_streams(log_group_name="/g", order_by="LastEventTime", log_stream_name_prefix="a")


def test_deleting_forgets_the_events(logs: Logs) -> None:
    logs.put("a", (NOW, "x"))
    logs.delete_log_stream(log_group_name="/g", log_stream_name="a")
    logs.create_log_stream(log_group_name="/g", log_stream_name="a")
    assert texts(logs.get_log_events(log_group_name="/g", log_stream_name="a")) == []
    logs.delete_log_group(log_group_name="/g")
    assert logs.describe_log_groups()["logGroups"] == []


def test_tags_by_arn_and_by_name(logs: Logs) -> None:
    logs.tag_resource(resource_arn=ARN, tags={"x": "1"})
    logs.untag_log_group(log_group_name="/g", tags=["team"])
    assert logs.list_tags_for_resource(resource_arn=ARN)["tags"] == {"x": "1"}
