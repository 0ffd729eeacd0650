"""The instance's way through its events, tags, revisions and configurations, as tables."""

from __future__ import annotations

import pytest

from windtunnel.kernel.errors import AwsError
from windtunnel.services.codedeploy.model import progress
from windtunnel.services.codedeploy.model.configs import invalid_minimum
from windtunnel.services.codedeploy.model.progress import Result
from windtunnel.services.codedeploy.model.records import MinimumHealthy, Target
from windtunnel.services.codedeploy.model.revisions import checked, digest
from windtunnel.services.codedeploy.model.tagfilters import invalid, selected

OK = Result(True)
BROKEN = Result(False, "ScriptFailed", "scripts/x.sh", "failed with exit code 1", "x" * 5000)


def fresh() -> Target:
    target = progress.planned("d-1", "i-1", "arn:i-1", 0, 100.0)
    progress.offer(target, 0, 101.0)
    return target


def statuses(target: Target) -> list[str]:
    return [event.status for event in target.events]


def test_events_are_pending_up_front_in_the_order_of_an_in_place_deployment() -> None:
    target = progress.planned("d-1", "i-1", "arn:i-1", 0, 100.0)
    assert [e.name for e in target.events] == [
        "ApplicationStop",
        "DownloadBundle",
        "BeforeInstall",
        "Install",
        "AfterInstall",
        "ApplicationStart",
        "ValidateService",
    ]
    assert set(statuses(target)) == {"Pending"}


def test_all_events_succeed_one_after_the_other() -> None:
    target = fresh()
    for index in range(7):
        assert target.current == index
        progress.acknowledge(target, 110.0 + index)
        assert target.events[index].status == "InProgress"
        progress.record(target, OK, 111.0 + index)
    assert (target.status, target.current, set(statuses(target))) == ("Succeeded", None, {"Succeeded"})
    assert (target.events[3].start, target.events[3].end) == (113.0, 114.0)


def test_the_first_failure_ends_the_instance_and_skips_the_rest() -> None:
    target = fresh()
    progress.record(target, OK, 102.0)
    progress.record(target, BROKEN, 103.0)
    assert target.status == "Failed"
    assert statuses(target) == ["Succeeded", "Failed", *["Skipped"] * 5]
    assert len(target.events[1].log_tail) == 2048


def test_a_failing_application_stop_can_be_ignored() -> None:
    target = fresh()
    progress.record(target, BROKEN, 103.0, ignore_stop_failures=True)
    assert (target.status, target.current, statuses(target)[0]) == ("InProgress", 1, "Failed")


def test_another_event_is_not_ignored() -> None:
    target = fresh()
    progress.record(target, OK, 102.0)
    progress.record(target, BROKEN, 103.0, ignore_stop_failures=True)
    assert target.status == "Failed"


def test_a_result_after_the_end_changes_nothing() -> None:
    target = fresh()
    progress.record(target, BROKEN, 103.0)
    progress.record(target, OK, 104.0)
    assert (target.status, target.updated) == ("Failed", 103.0)


def test_an_agent_has_five_minutes_to_begin_and_an_hour_to_end() -> None:
    target = fresh()
    assert progress.deadline(target) == 101.0 + 300
    assert "was not able to receive the lifecycle event" in progress.overdue(target).message
    progress.acknowledge(target, 200.0)
    progress.acknowledge(target, 300.0)
    assert progress.deadline(target) == 200.0 + 3600
    progress.end(target, "Skipped", 400.0)
    assert progress.deadline(target) is None


TAGS = {"env": "prod", "role": "web"}


@pytest.mark.parametrize(
    "filters, tag_set, expected",
    [
        pytest.param([], None, False, id="no filters mean no instances"),
        pytest.param([{"Key": "env", "Value": "prod", "Type": "KEY_AND_VALUE"}], None, True, id="key and value"),
        pytest.param([{"Key": "env", "Value": "test", "Type": "KEY_AND_VALUE"}], None, False, id="another value"),
        pytest.param([{"Key": "env", "Type": "KEY_ONLY"}], None, True, id="key only"),
        pytest.param([{"Value": "web", "Type": "VALUE_ONLY"}], None, True, id="value only"),
        pytest.param([{"Key": "x", "Type": "KEY_ONLY"}, {"Key": "env", "Type": "KEY_ONLY"}], None, True, id="filters are alternatives"),
        pytest.param([], [[{"Key": "env", "Type": "KEY_ONLY"}], [{"Value": "web", "Type": "VALUE_ONLY"}]], True, id="both lists match"),
        pytest.param([], [[{"Key": "env", "Type": "KEY_ONLY"}], [{"Value": "db", "Type": "VALUE_ONLY"}]], False, id="one list does not"),
        pytest.param([], [[]], False, id="an empty list matches nothing"),
        pytest.param([{"Key": "env", "Value": "prod"}], None, True, id="no type means key and value"),
    ],
)
def test_tag_filters(filters: list[dict[str, str]], tag_set: list[list[dict[str, str]]] | None, expected: bool) -> None:
    assert selected(filters, tag_set, TAGS) is expected


@pytest.mark.parametrize(
    "filter_", [{"Key": "a", "Type": "BOTH"}, {"Type": "KEY_ONLY"}, {"Type": "VALUE_ONLY", "Key": "a"}, {"Key": "k" * 129}], ids=str
)
def test_bad_tag_filters(filter_: dict[str, str]) -> None:
    assert invalid([filter_])


S3 = {"bucket": "b", "key": "k.zip", "bundleType": "zip"}


def test_a_revision_is_known_by_its_location() -> None:
    location = checked({"revisionType": "S3", "s3Location": {**S3, "eTag": '"abc"', "version": ""}}, "X")
    assert location == {"revisionType": "S3", "s3Location": {**S3, "eTag": '"abc"'}}
    assert digest(location) == digest(checked({"s3Location": {**S3, "eTag": "abc"}}, "X"))
    assert digest(location) != digest(checked({"s3Location": S3}, "X"))


@pytest.mark.parametrize(
    "location, code",
    [
        pytest.param({}, "RevisionRequiredException", id="nothing"),
        pytest.param({"revisionType": "S3"}, "InvalidRevisionException", id="no location"),
        pytest.param({"revisionType": "S3", "s3Location": {"bucket": "b", "bundleType": "zip"}}, "InvalidRevisionException", id="no key"),
        pytest.param({"revisionType": "S3", "s3Location": {"bucket": "b", "key": "k"}}, "InvalidRevisionException", id="no bundle type"),
        pytest.param({"revisionType": "S3", "s3Location": {**S3, "bundleType": "YAML"}}, "InvalidRevisionException", id="ECS's bundle"),
        pytest.param({"revisionType": "AppSpecContent", "appSpecContent": {"content": "x"}}, "InvalidRevisionException", id="Lambda's"),
        pytest.param({"revisionType": "Nothing"}, "InvalidRevisionException", id="unknown type"),
        pytest.param(
            {"revisionType": "GitHub", "gitHubLocation": {"repository": "a", "commitId": "b"}}, "InvalidRevisionException", id="bad GitHub"
        ),
        pytest.param(
            {"revisionType": "GitHub", "gitHubLocation": {"repository": "a/b", "commitId": "0" * 40}}, "NotImplemented", id="GitHub"
        ),
    ],
)
def test_bad_revisions(location: dict[str, object], code: str) -> None:
    with pytest.raises(AwsError) as caught:
        checked(location, "CreateDeployment")
    assert caught.value.code == code


@pytest.mark.parametrize(
    "minimum, good",
    [
        (MinimumHealthy("HOST_COUNT", 0), True),
        (MinimumHealthy("FLEET_PERCENT", 99), True),
        (MinimumHealthy("FLEET_PERCENT", 100), False),
        (MinimumHealthy("HOST_COUNT", -1), False),
        (MinimumHealthy("MOST_CONCURRENCY", 1), False),
    ],
)
def test_custom_minimum(minimum: MinimumHealthy, good: bool) -> None:
    assert (invalid_minimum(minimum) == "") is good


@pytest.mark.parametrize(
    "log, said",
    [
        pytest.param("", "", id="nothing ran"),
        pytest.param("LifecycleEvent - ApplicationStart\nScript - scripts/x.sh\n", "", id="a silent script"),
        pytest.param(
            "LifecycleEvent - ApplicationStart\nScript - a.sh\n[stdout]first\nScript - b.sh\n[stderr]no licence\n[stdout]starting\n",
            "\n    | [stderr]no licence\n    | [stdout]starting",
            id="both outputs of the last script",
        ),
        pytest.param("\n".join(f"[stdout]{n}" for n in range(20)), "".join(f"\n    | [stdout]{n}" for n in range(12, 20)), id="cut"),
    ],
)
def test_the_trail_has_the_last_lines_of_the_script_that_failed(log: str, said: str) -> None:
    assert progress.last_words(log) == said
