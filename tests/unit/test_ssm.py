"""Parameter Store through its operations: versions, labels, paths, filters, tags, public parameters."""

from __future__ import annotations

from typing import Any

import pytest

from harness import ACCOUNT, REGION, InProcessCloud
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.stock import STOCK_AMI
from windtunnel.services.ssm.filters import compile_filters
from windtunnel.services.ssm.model import Parameter, ParameterVersion, Past


def put(cloud: InProcessCloud, name: str, value: str = "v", **args: Any) -> Any:
    return cloud.api("ssm", "PutParameter", **{"name": name, "value": value, "type": "String", **args})


def get(cloud: InProcessCloud, name: str) -> dict[str, Any]:
    found: dict[str, Any] = cloud.api("ssm", "GetParameter", name=name)["Parameter"]
    return found


def refusal(cloud: InProcessCloud, operation: str, **args: Any) -> str:
    with pytest.raises(AwsError) as caught:
        cloud.api("ssm", operation, **args)
    return caught.value.code


def test_a_parameter_reads_back(cloud: InProcessCloud) -> None:
    assert put(cloud, "/app/url", "http://x", description="where") == {"Version": 1, "Tier": "Standard"}
    found = get(cloud, "/app/url")
    assert (found["Value"], found["Type"], found["Version"], found["DataType"]) == ("http://x", "String", 1, "text")
    assert found["ARN"] == f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/app/url"
    assert get(cloud, found["ARN"])["Value"] == "http://x"
    put(cloud, "plain")
    assert get(cloud, f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/plain:1")["Value"] == "v"
    assert refusal(cloud, "GetParameter", name=f"arn:aws:ssm:{REGION}:999999999999:parameter/plain") == "ParameterNotFound"


@pytest.mark.parametrize(
    "args, code",
    [
        ({"name": "/a"}, "ParameterAlreadyExists"),
        ({"name": "/a", "overwrite": True, "tags": [{"Key": "k", "Value": "v"}]}, "ValidationException"),
        ({"name": "/a", "overwrite": True, "value": ""}, "ValidationException"),
        ({"name": "/a", "overwrite": True, "value": "x" * 4097}, "ValidationException"),
        ({"name": "/a", "overwrite": True, "allowed_pattern": r"\d+"}, "ParameterPatternMismatchException"),
        ({"name": "/a", "overwrite": True, "allowed_pattern": "("}, "InvalidAllowedPatternException"),
        ({"name": "/new", "type": None}, "ValidationException"),
        ({"name": "/new", "key_id": "alias/aws/ssm"}, "ValidationException"),
        ({"name": "/new", "type": "SecureString", "key_id": "alias/none"}, "InvalidKeyId"),
        ({"name": "/new", "data_type": "aws:ec2:image"}, "ValidationException"),
        ({"name": "/new", "data_type": "aws:ssm:integration"}, "NotImplemented"),
        ({"name": "/new", "policies": "[{}]", "tier": "Standard", "value": ""}, "ValidationException"),
        ({"name": "a b"}, "ValidationException"),
        ({"name": "a/b"}, "ValidationException"),
        ({"name": "/ssmX"}, "ValidationException"),
        ({"name": "awsome"}, "ValidationException"),
        ({"name": "/aws/x"}, "AccessDeniedException"),
        ({"name": "/a" * 16}, "HierarchyLevelLimitExceededException"),
        ({"name": "/" + "a" * 1011}, "ValidationException"),
    ],
)
def test_refusals_change_nothing(cloud: InProcessCloud, args: dict[str, Any], code: str) -> None:
    put(cloud, "/a", "kept")
    assert refusal(cloud, "PutParameter", **{"value": "v", "type": "String", **args}) == code
    described = cloud.api("ssm", "DescribeParameters")["Parameters"]
    assert [(item["Name"], item["Version"]) for item in described] == [("/a", 1)]


def test_tiers_only_go_up(cloud: InProcessCloud) -> None:
    assert put(cloud, "/small", tier="Intelligent-Tiering")["Tier"] == "Standard"
    assert put(cloud, "/big", "x" * 5000, tier="Intelligent-Tiering")["Tier"] == "Advanced"
    assert put(cloud, "/big", "x", overwrite=True)["Tier"] == "Advanced"
    assert refusal(cloud, "PutParameter", name="/big", value="x", overwrite=True, tier="Standard") == "ValidationException"


def test_versions_and_labels(cloud: InProcessCloud) -> None:
    for n in range(1, 4):
        put(cloud, "/a", f"v{n}", overwrite=True)
    labelled = cloud.api("ssm", "LabelParameterVersion", name="/a", parameter_version=2, labels=["prod", "9no", "awsno", "ok-1"])
    assert labelled == {"InvalidLabels": ["9no", "awsno"], "ParameterVersion": 2}
    assert [get(cloud, name)["Value"] for name in ("/a", "/a:1", "/a:prod", "/a:3")] == ["v3", "v1", "v2", "v3"]
    assert get(cloud, "/a:prod")["Selector"] == ":prod"
    assert refusal(cloud, "GetParameter", name="/a:4") == "ParameterVersionNotFound"
    assert refusal(cloud, "GetParameter", name="/a:none") == "ParameterVersionNotFound"
    cloud.api("ssm", "LabelParameterVersion", name="/a", labels=["prod"])
    assert get(cloud, "/a:prod")["Value"] == "v3"
    assert refusal(cloud, "LabelParameterVersion", name="/a", parameter_version=9, labels=["x"]) == "ParameterVersionNotFound"
    many = [f"label{n}" for n in range(10)]
    assert refusal(cloud, "LabelParameterVersion", name="/a", labels=many) == "ParameterVersionLabelLimitExceeded"
    removed = cloud.api("ssm", "UnlabelParameterVersion", name="/a", parameter_version=3, labels=["prod", "ok-1"])
    assert removed == {"RemovedLabels": ["prod"], "InvalidLabels": ["ok-1"]}
    history = cloud.api("ssm", "GetParameterHistory", name="/a")["Parameters"]
    assert [(item["Version"], item["Labels"]) for item in history] == [(1, []), (2, ["ok-1"]), (3, [])]


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_history_in_pages(cloud: InProcessCloud, size: int) -> None:
    for _ in range(4):
        put(cloud, "/a", overwrite=True)
    put(cloud, "/ab")
    found: list[int] = []
    reply = cloud.api("ssm", "GetParameterHistory", name="/a", max_results=size)
    while True:
        assert len(reply["Parameters"]) <= size
        found += [item["Version"] for item in reply["Parameters"]]
        if "NextToken" not in reply:
            break
        reply = cloud.api("ssm", "GetParameterHistory", name="/a", max_results=size, next_token=reply["NextToken"])
    assert found == [1, 2, 3, 4]


def test_a_hundred_versions_are_kept_and_a_label_holds_the_oldest(cloud: InProcessCloud) -> None:
    def fill(ctx: Context) -> None:
        for _ in range(101):
            ctx.call("ssm", "PutParameter", name="/a", value="v", type="String", overwrite=True)

    cloud.write(fill)
    assert refusal(cloud, "GetParameter", name="/a:1") == "ParameterVersionNotFound"
    assert len(cloud.read(lambda ctx: ctx.tx.scan(Past))) == 99
    cloud.api("ssm", "LabelParameterVersion", name="/a", parameter_version=2, labels=["keep"])
    assert refusal(cloud, "PutParameter", name="/a", value="v", overwrite=True) == "ParameterMaxVersionLimitExceeded"
    assert get(cloud, "/a")["Version"] == 101
    cloud.api("ssm", "DeleteParameter", name="/a")
    assert cloud.read(lambda ctx: ctx.tx.scan(Past)) == []
    assert put(cloud, "/a")["Version"] == 1


def test_several_at_once(cloud: InProcessCloud) -> None:
    for name in ("/a", "/b"):
        put(cloud, name)
    reply = cloud.api("ssm", "GetParameters", names=["/b", "/none", "/a:1", "/a:7"])
    assert [item["Name"] for item in reply["Parameters"]] == ["/b", "/a"]
    assert reply["InvalidParameters"] == ["/none", "/a:7"]
    assert cloud.api("ssm", "DeleteParameters", names=["/a", "/none"]) == {"DeletedParameters": ["/a"], "InvalidParameters": ["/none"]}
    assert refusal(cloud, "DeleteParameter", name="/a") == "ParameterNotFound"


def test_by_path(cloud: InProcessCloud) -> None:
    for name in ("/p/a", "/p/b", "/p/c/d", "/px", "/q/a", "plain"):
        put(cloud, name, type="StringList" if name == "/p/b" else "String")

    def names(**args: Any) -> list[str]:
        found, token = [], None
        while True:
            reply = cloud.api("ssm", "GetParametersByPath", **args, **({"next_token": token} if token else {}))
            found += [item["Name"] for item in reply["Parameters"]]
            token = reply.get("NextToken")
            if token is None:
                return found

    assert names(path="/p") == names(path="/p/") == ["/p/a", "/p/b"]
    assert names(path="/p", recursive=True, max_results=1) == ["/p/a", "/p/b", "/p/c/d"]
    assert names(path="/", max_results=2) == ["/px"]
    only = [{"Key": "Type", "Option": "Equals", "Values": ["StringList"]}]
    assert names(path="/p", parameter_filters=only, max_results=1) == ["/p/b"]
    assert refusal(cloud, "GetParametersByPath", path="p") == "ValidationException"
    assert refusal(cloud, "GetParametersByPath", path="/p", next_token="!") == "InvalidNextToken"


def parameter(name: str, **args: Any) -> Parameter:
    fields = {"version": 1, "type": "String", "value": "v", "modified": 0.0, "user": "u"}
    extra = {key: args.pop(key) for key in ("tags", "labels") if key in args}
    return Parameter(name=name, current=ParameterVersion(**{**fields, **args}), **extra)


@pytest.mark.parametrize(
    "item, passing",
    [
        ({"Key": "Name", "Values": ["/p/a"]}, ["/p/a"]),
        ({"Key": "Name", "Option": "BeginsWith", "Values": ["/p", "/q"]}, ["/p/a", "/p/c/d", "/q"]),
        ({"Key": "Name", "Option": "Contains", "Values": ["c/"]}, ["/p/c/d"]),
        ({"Key": "Path", "Values": ["/p"]}, ["/p/a"]),
        ({"Key": "Path", "Option": "Recursive", "Values": ["/p"]}, ["/p/a", "/p/c/d"]),
        ({"Key": "Path", "Values": ["/"]}, ["/q", "plain"]),
        ({"Key": "Type", "Values": ["StringList"]}, ["/p/c/d"]),
        ({"Key": "Tier", "Values": ["Advanced"]}, ["/q"]),
        ({"Key": "tag:team", "Values": ["blue", "green"]}, ["/p/a"]),
        ({"Key": "tag:team"}, ["/p/a", "/q"]),
    ],
)
def test_filters(item: dict[str, Any], passing: list[str]) -> None:
    every = [
        parameter("/p/a", tags={"team": "blue"}),
        parameter("/p/c/d", type="StringList"),
        parameter("/q", tier="Advanced", tags={"team": "red"}),
        parameter("plain"),
    ]
    test = compile_filters([item], "describe")
    assert [one.name for one in every if test(one)] == passing


@pytest.mark.parametrize(
    "filters, code",
    [
        ([{"Key": "Label", "Values": ["x"]}], "InvalidFilterKey"),
        ([{"Key": "Name", "Values": ["a"]}, {"Key": "Name", "Values": ["b"]}], "InvalidFilterKey"),
        ([{"Key": "Name", "Values": []}], "InvalidFilterValue"),
        ([{"Key": "Name", "Option": "Recursive", "Values": ["a"]}], "InvalidFilterOption"),
        ([{"Key": "Tier", "Values": ["Gold"]}], "InvalidFilterValue"),
        ([{"Key": "Path", "Values": ["p"]}], "ValidationException"),
        ([{"Key": "tag:a", "Option": "Recursive", "Values": ["x"]}], "InvalidFilterOption"),
    ],
)
def test_wrong_filters(filters: list[dict[str, Any]], code: str) -> None:
    with pytest.raises(AwsError) as caught:
        compile_filters(filters, "describe")
    assert caught.value.code == code


def test_describing_in_pages(cloud: InProcessCloud) -> None:
    for name in ("/c", "/a", "/b"):
        put(cloud, name, description=f"of {name}")
    first = cloud.api("ssm", "DescribeParameters", max_results=2)
    rest = cloud.api("ssm", "DescribeParameters", max_results=2, next_token=first["NextToken"])
    assert [item["Description"] for item in first["Parameters"] + rest["Parameters"]] == ["of /a", "of /b", "of /c"]
    assert "NextToken" not in rest
    assert "Value" not in first["Parameters"][0]


def test_tags(cloud: InProcessCloud) -> None:
    put(cloud, "/a", tags=[{"Key": "x", "Value": "1"}])
    of_a = {"resource_type": "Parameter", "resource_id": "/a"}
    cloud.api("ssm", "AddTagsToResource", **of_a, tags=[{"Key": "y", "Value": "2"}, {"Key": "x", "Value": "3"}])
    assert cloud.api("ssm", "ListTagsForResource", **of_a)["TagList"] == [{"Key": "x", "Value": "3"}, {"Key": "y", "Value": "2"}]
    cloud.api("ssm", "RemoveTagsFromResource", **of_a, tag_keys=["x", "none"])
    assert cloud.api("ssm", "ListTagsForResource", **of_a)["TagList"] == [{"Key": "y", "Value": "2"}]
    assert refusal(cloud, "ListTagsForResource", resource_type="Parameter", resource_id="/none") == "InvalidResourceId"
    assert refusal(cloud, "ListTagsForResource", resource_type="Document", resource_id="x") == "NotImplemented"
    fifty = [{"Key": f"k{n}", "Value": ""} for n in range(50)]
    assert refusal(cloud, "AddTagsToResource", **of_a, tags=fifty) == "TooManyTagsError"
    put(cloud, "/a", "v2", overwrite=True)
    assert len(cloud.api("ssm", "ListTagsForResource", **of_a)["TagList"]) == 1


def test_public_parameters(cloud: InProcessCloud) -> None:
    name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    found = get(cloud, name)
    assert found["Value"] == STOCK_AMI
    assert found["ARN"] == f"arn:aws:ssm:{REGION}::parameter{name}"
    listed = cloud.api("ssm", "GetParametersByPath", path="/aws/service/ami-amazon-linux-latest", max_results=3)
    assert [item["Value"] for item in listed["Parameters"]] == [STOCK_AMI] * 3
    rest = cloud.api("ssm", "GetParametersByPath", path="/aws/service", recursive=True, next_token=listed["NextToken"])
    assert name not in [item["Name"] for item in rest["Parameters"]]
    assert cloud.api("ssm", "GetParameters", names=[name])["InvalidParameters"] == []
    assert refusal(cloud, "GetParameter", name="/aws/service/none") == "ParameterNotFound"


def test_changes_are_told(cloud: InProcessCloud) -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    original = cloud.cloud.pump.append

    def append(ctx: Context, events: Any) -> None:
        told.extend((event.detail_type, event.detail) for event in events)
        original(ctx, events)

    cloud.cloud.pump.append = append  # type: ignore[method-assign]
    put(cloud, "/a", description="d")
    put(cloud, "/a", overwrite=True)
    cloud.api("ssm", "LabelParameterVersion", name="/a", labels=["l"])
    cloud.api("ssm", "DeleteParameter", name="/a")
    assert {detail_type for detail_type, _ in told} == {"Parameter Store Change"}
    assert [detail["operation"] for _, detail in told] == ["Create", "Update", "LabelParameterVersion", "Delete"]
    assert told[0][1] == {"name": "/a", "type": "String", "operation": "Create", "description": "d"}
