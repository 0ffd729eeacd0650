"""Page tokens: opaque, the same for the same page, refused for anything but the request that they were given to."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients import Door
from harness import InProcessCloud
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import OPERATIONS, RULES, ServiceRules
from windtunnel.kernel.scope import Scope
from windtunnel.wire.models import load_service
from windtunnel.wire.paging import PageTokens, page_tokens

HERE = Scope("111122223333", "eu-west-1")


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with InProcessCloud(tmp_path) as cloud:
        yield Door(cloud)


def key() -> bytes:
    return b"k" * 32


def tokens(service: str, operation: str) -> PageTokens:
    found = page_tokens(load_service(service).operation(operation), ServiceRules())
    assert found is not None
    return found


PARAMETERS = tokens("ssm", "DescribeParameters")


def sealed(plain: str, args: dict[str, Any], scope: Scope = HERE, of: PageTokens = PARAMETERS) -> str:
    return str(of.seal(key, scope, args, {"NextToken": plain}, None)["NextToken"])


def opened(token: str, args: dict[str, Any], scope: Scope = HERE, of: PageTokens = PARAMETERS) -> Any:
    given_args = {**args, "next_token": token}
    of.open(key, scope, given_args)
    return given_args["next_token"]


@given(st.text(min_size=1).filter(lambda text: text.encode("utf-8", "ignore").decode() == text))
def test_what_was_sealed_is_opened_and_sealed_alike_again(plain: str) -> None:
    token = sealed(plain, {"shared": True})
    assert opened(token, {"shared": True}) == plain
    assert token == sealed(plain, {"shared": True})
    assert token.replace("-", "").replace("_", "").isalnum()


@given(st.binary(min_size=1).map(lambda data: urlsafe_b64encode(data).decode()), st.booleans())
def test_a_token_that_is_base64_does_not_grow_by_a_second_coat(plain: str, padded: bool) -> None:
    plain = plain if padded else plain.rstrip("=")
    token = sealed(plain, {})
    assert opened(token, {}) == plain
    assert len(token) <= len(plain) + 20


@given(st.text("abcdefghij/", min_size=3, max_size=40), st.data())
def test_no_bit_of_it_can_be_changed(plain: str, data: st.DataObject) -> None:
    token = sealed(plain, {})
    at = data.draw(st.integers(0, len(token) - 2))
    other = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
    with pytest.raises(AwsError) as refused:
        opened(other, {})
    assert refused.value.code == "InvalidNextToken"


def test_it_does_not_show_what_it_says() -> None:
    token = sealed("the/name/of/a/parameter", {})
    assert b"name" not in urlsafe_b64decode(token + "=" * (-len(token) % 4))


@pytest.mark.parametrize(
    "args, scope, of",
    [
        pytest.param({"filters": ["other"]}, HERE, PARAMETERS, id="other parameters"),
        pytest.param({}, Scope("444455556666", "eu-west-1"), PARAMETERS, id="another account"),
        pytest.param({}, Scope("111122223333", "us-east-1"), PARAMETERS, id="another region"),
        pytest.param({}, HERE, tokens("ssm", "GetParameterHistory"), id="another operation"),
    ],
)
def test_it_is_good_for_its_own_request_only(args: dict[str, Any], scope: Scope, of: PageTokens) -> None:
    with pytest.raises(AwsError):
        opened(sealed("a", {}), args, scope, of)


def test_the_size_of_a_page_may_change() -> None:
    assert opened(sealed("a", {"max_results": 5}), {"max_results": 50}) == "a"


@pytest.mark.parametrize("token", ["", "!", "é", "AAAA", "A" * 5000, "=====", "AAAAAAAAAAAAAAAA"])
def test_what_we_never_made_is_refused(token: str) -> None:
    with pytest.raises(AwsError) as refused:
        opened(token, {})
    assert refused.value.code == "InvalidNextToken"


@pytest.mark.parametrize(
    "service, operation, code",
    [
        ("iam", "ListUsers", "ValidationError"),
        ("kms", "ListKeys", "InvalidMarkerException"),
        ("logs", "DescribeLogGroups", "InvalidParameterException"),
        ("events", "ListRules", "ValidationException"),
        ("ec2", "DescribeInstances", "InvalidNextToken"),
        ("s3", "ListObjectsV2", "InvalidArgument"),
        ("codecommit", "ListBranches", "InvalidContinuationTokenException"),
        ("codebuild", "ListProjects", "InvalidInputException"),
        ("secretsmanager", "ListSecrets", "InvalidNextTokenException"),
        ("sns", "ListTopics", "InvalidParameter"),
        ("scheduler", "ListSchedules", "ValidationException"),
    ],
)
def test_each_service_refuses_in_its_own_words(service: str, operation: str, code: str) -> None:
    with pytest.raises(AwsError) as refused:
        of = tokens(service, operation)
        of.open(key, HERE, {of.argument: "nonsense"})
    assert refused.value.code == code


def test_markers_of_s3_that_are_keys_stay_plain() -> None:
    s3 = load_service("s3")
    for operation in ("ListObjects", "ListObjectVersions", "ListMultipartUploads", "ListParts"):
        assert page_tokens(s3.operation(operation), ServiceRules()) is None


@pytest.mark.parametrize("service, operation", sorted(OPERATIONS))
def test_every_operation_with_pages_has_sealed_tokens(service: str, operation: str) -> None:
    """Whatever has a token in and a token out is found by its members' names."""
    model = load_service(service).operation(operation)
    named = {"nexttoken", "marker", "nextmarker"}
    inputs = {name.lower() for name in model.input_shape.members} & named
    outputs = {name.lower() for name in model.output_shape.members} & named
    found = page_tokens(model, RULES.get(service) or ServiceRules())
    assert (found is not None) or not (inputs and outputs) or service == "s3"


def test_a_real_client_pages_through_and_a_token_of_another_request_is_refused(door: Door) -> None:
    ssm = door.client("ssm")
    for number in range(5):
        ssm.put_parameter(Name=f"/paging/{number}", Value="x", Type="String")
    pages = list(ssm.get_paginator("get_parameters_by_path").paginate(Path="/paging", PaginationConfig={"PageSize": 2}))
    assert [item["Name"] for page in pages for item in page["Parameters"]] == [f"/paging/{number}" for number in range(5)]
    token = pages[0]["NextToken"]
    assert ssm.get_parameters_by_path(Path="/paging", MaxResults=2)["NextToken"] == token
    with pytest.raises(ssm.exceptions.InvalidNextToken):
        ssm.get_parameters_by_path(Path="/", NextToken=token)
    with pytest.raises(ssm.exceptions.InvalidNextToken):
        ssm.describe_parameters(NextToken=token)


def test_s3_repeats_the_token_that_it_was_sent(door: Door) -> None:
    s3 = door.client("s3")
    s3.create_bucket(Bucket="paged", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for number in range(3):
        s3.put_object(Bucket="paged", Key=f"k{number}", Body=b"")
    first = s3.list_objects_v2(Bucket="paged", MaxKeys=1)
    second = s3.list_objects_v2(Bucket="paged", MaxKeys=2, ContinuationToken=first["NextContinuationToken"])
    assert second["ContinuationToken"] == first["NextContinuationToken"]
    assert [item["Key"] for item in second["Contents"]] == ["k1", "k2"]
