"""Where a request goes: targets, actions, S3's paths and sub-resources; and what is said of what nobody runs."""

import pytest

from windtunnel.kernel.errors import AwsError
from windtunnel.wire.hosts import bucket_of_host
from windtunnel.wire.models import load_service
from windtunnel.wire.routing import Router, scope_service

SERVICES = ["ssm", "sts", "iam", "s3", "ec2", "codecommit", "codepipeline", "logs", "events", "cloudwatch", "lambda", "cloudtrail"]
ROUTER = Router(
    {name: frozenset(load_service(name).operation_names) - {"DeleteParameter", "DeleteUser", "PutBucketAcl"} for name in SERVICES}
)
FORM = "application/x-www-form-urlencoded; charset=utf-8"


def signed(service: str) -> dict[str, str]:
    return {"authorization": f"AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=0"}


@pytest.mark.parametrize(
    "request_line, headers, expected",
    [
        ("GET /", {}, "ListBuckets"),
        ("GET /bucket", {}, "ListObjects Bucket=bucket"),
        ("GET /bucket/", {}, "ListObjects Bucket=bucket"),
        ("GET /bucket?list-type=2&prefix=a", {}, "ListObjectsV2 Bucket=bucket"),
        ("GET /bucket?versioning", {}, "GetBucketVersioning Bucket=bucket"),
        ("GET /bucket?versioning=", {}, "GetBucketVersioning Bucket=bucket"),
        ("GET /bucket?uploads", {}, "ListMultipartUploads Bucket=bucket"),
        ("GET /bucket?lifecycle", {}, "GetBucketLifecycleConfiguration Bucket=bucket"),
        ("GET /bucket?notification", {}, "GetBucketNotificationConfiguration Bucket=bucket"),
        ("GET /bucket?analytics", {}, "ListBucketAnalyticsConfigurations Bucket=bucket"),
        ("GET /bucket?analytics&id=1", {}, "GetBucketAnalyticsConfiguration Bucket=bucket"),
        ("GET /bucket/key", {}, "GetObject Bucket=bucket Key=key"),
        ("GET /bucket/a%2Fb%20c%C3%A9//d/", {}, "GetObject Bucket=bucket Key=a/b cé//d/"),
        ("GET /bucket/key?uploadId=1", {}, "ListParts Bucket=bucket Key=key"),
        ("GET /bucket/key?tagging", {}, "GetObjectTagging Bucket=bucket Key=key"),
        ("GET /bucket/key?attributes", {}, "GetObjectAttributes Bucket=bucket Key=key"),
        ("HEAD /bucket", {}, "HeadBucket Bucket=bucket"),
        ("HEAD /bucket/key", {}, "HeadObject Bucket=bucket Key=key"),
        ("PUT /bucket", {}, "CreateBucket Bucket=bucket"),
        ("PUT /bucket?policy", {}, "PutBucketPolicy Bucket=bucket"),
        ("PUT /bucket/key", {}, "PutObject Bucket=bucket Key=key"),
        ("PUT /bucket/key", {"x-amz-copy-source": "/a/b"}, "CopyObject Bucket=bucket Key=key"),
        ("PUT /bucket/key?partNumber=1&uploadId=2", {}, "UploadPart Bucket=bucket Key=key"),
        ("PUT /bucket/key?partNumber=1&uploadId=2", {"x-amz-copy-source": "/a/b"}, "UploadPartCopy Bucket=bucket Key=key"),
        ("POST /bucket?delete", {}, "DeleteObjects Bucket=bucket"),
        ("POST /bucket/key?uploads", {}, "CreateMultipartUpload Bucket=bucket Key=key"),
        ("POST /bucket/key?uploadId=2", {}, "CompleteMultipartUpload Bucket=bucket Key=key"),
        ("DELETE /bucket", {}, "DeleteBucket Bucket=bucket"),
        ("DELETE /bucket/key", {}, "DeleteObject Bucket=bucket Key=key"),
        ("DELETE /bucket/key?uploadId=2", {}, "AbortMultipartUpload Bucket=bucket Key=key"),
        ("GET /bucket/key?x-id=GetObject", {}, "GetObject Bucket=bucket Key=key"),
        ("GET /key", {"host": "my.bucket.s3.eu-west-1.amazonaws.com"}, "GetObject Bucket=my.bucket Key=key"),
        ("GET /?location", {"host": "bucket.s3.localhost:4566"}, "GetBucketLocation Bucket=bucket"),
    ],
)
def test_s3(request_line: str, headers: dict[str, str], expected: str) -> None:
    method, _, target = request_line.partition(" ")
    path, _, query = target.partition("?")
    route = ROUTER.route(method, headers.get("host", "127.0.0.1:4566"), path, query, {**signed("s3"), **headers})
    shown = " ".join([route.operation, *(f"{name}={value}" for name, value in route.path_params.items())])
    assert (route.service, route.protocol, shown) == ("s3", "rest-xml", expected)


@pytest.mark.parametrize(
    "headers, body, expected",
    [
        ({"x-amz-target": "AmazonSSM.GetParameter"}, b"", ("ssm", "GetParameter", "json")),
        (
            {"x-amz-target": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.GetTrail"},
            b"",
            ("cloudtrail", "GetTrail", "json"),
        ),
        ({"x-amz-target": "CloudTrail_20131101.GetTrail"}, b"", ("cloudtrail", "GetTrail", "json")),
        ({"x-amz-target": "AWSEvents.PutEvents"}, b"", ("events", "PutEvents", "json")),
        ({"x-amz-target": "GraniteServiceVersion20100801.PutMetricData"}, b"", ("cloudwatch", "PutMetricData", "json")),
        ({"content-type": FORM, **signed("iam")}, b"Action=GetUser&Version=2010-05-08", ("iam", "GetUser", "query")),
        ({"content-type": FORM, **signed("iam")}, b"Version=2010-05-08&UserName=x&Action=GetUser", ("iam", "GetUser", "query")),
        ({"content-type": FORM, **signed("ec2")}, b"Action=RunInstances&Version=2016-11-15", ("ec2", "RunInstances", "ec2")),
        ({"content-type": FORM}, b"Action=AssumeRoleWithWebIdentity&Version=2011-06-15", ("sts", "AssumeRoleWithWebIdentity", "query")),
        (
            {"content-type": FORM, **signed("monitoring")},
            b"Action=PutMetricData&Version=2010-08-01",
            ("cloudwatch", "PutMetricData", "query"),
        ),
    ],
)
def test_targets_and_actions(headers: dict[str, str], body: bytes, expected: tuple[str, str, str]) -> None:
    route = ROUTER.route("POST", "h", "/", "", headers, body)
    assert (route.service, route.operation, route.protocol) == expected


def test_an_action_in_the_query_string() -> None:
    query = "Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Credential=AKID%2F20260101%2Feu-west-1%2Fsts%2Faws4_request"
    assert ROUTER.route("GET", "h", "/", query, {})[:2] == ("sts", "GetCallerIdentity")


@pytest.mark.parametrize(
    "request_line, headers, body, error, status",
    [
        ("POST /", {"x-amz-target": "AmazonSSM.Nope"}, b"", "UnknownOperationException: ", 400),
        ("POST /", {"x-amz-target": "Nope.GetParameter"}, b"", "UnknownOperationException: ", 400),
        ("POST /", {"x-amz-target": ""}, b"", "UnknownOperationException: ", 400),
        (
            "POST /",
            {"x-amz-target": "AmazonSSM.DeleteParameter"},
            b"",
            "NotImplemented: Windtunnel does not run ssm:DeleteParameter yet",
            501,
        ),
        ("POST /", {"x-amz-target": "DynamoDB_20120810.GetItem"}, b"", "NotImplemented: Windtunnel does not run dynamodb:GetItem yet", 501),
        (
            "POST /",
            {"content-type": FORM, **signed("iam")},
            b"Action=Nope&Version=2010-05-08",
            "InvalidAction: Could not find operation Nope for version 2010-05-08",
            400,
        ),
        (
            "POST /",
            {"content-type": FORM, **signed("ec2")},
            b"Action=Nope&Version=2016-11-15",
            "InvalidAction: The action Nope is not valid for this web service.",
            400,
        ),
        (
            "POST /",
            {"content-type": FORM, **signed("iam")},
            b"Version=2010-05-08",
            "MissingAction: The request must contain the parameter Action",
            400,
        ),
        (
            "POST /",
            {"content-type": FORM, **signed("iam")},
            b"Action=DeleteUser&Version=2010-05-08",
            "NotImplemented: Windtunnel does not run iam:DeleteUser yet",
            501,
        ),
        (
            "POST /",
            {"content-type": FORM, **signed("sns")},
            b"Action=Publish&Version=2010-03-31",
            "NotImplemented: Windtunnel does not run sns:Publish yet",
            501,
        ),
        (
            "POST /",
            {"content-type": FORM, **signed("elasticloadbalancing")},
            b"Action=X",
            "NotImplemented: Windtunnel does not run elb:X yet",
            501,
        ),
        (
            "POST /service/ComprehendMedical_20181030/operation/DetectPHI",
            {"smithy-protocol": "rpc-v2-cbor", **signed("comprehendmedical")},
            b"",
            "NotImplemented: Windtunnel does not run comprehendmedical:DetectPHI yet",
            501,
        ),
        ("POST /service/AmazonSSM/operation/GetParameter", {"smithy-protocol": "rpc-v2-cbor"}, b"", "UnknownOperationException", 404),
        (
            "POST /service/GraniteServiceVersion20100801/operation/No",
            {"smithy-protocol": "rpc-v2-cbor"},
            b"",
            "UnknownOperationException",
            404,
        ),
        (
            "GET /service/GraniteServiceVersion20100801/operation/PutMetricData",
            {"smithy-protocol": "x"},
            b"",
            "UnknownOperationException",
            404,
        ),
        ("POST /x", {"smithy-protocol": "rpc-v2-cbor"}, b"", "UnknownOperationException", 404),
        ("PUT /bucket?acl", signed("s3"), b"", "NotImplemented: Windtunnel does not run s3:PutBucketAcl yet", 501),
        ("PATCH /bucket/key", signed("s3"), b"", "MethodNotAllowed: The specified method is not allowed against this resource.", 405),
        ("POST /bucket", signed("s3"), b"", "MethodNotAllowed", 405),
        ("GET /restapis", signed("apigateway"), b"", "NotImplemented: Windtunnel does not run apigateway:GET /restapis yet", 501),
        ("GET /", signed("ssm"), b"", "UnknownOperationException", 404),
        ("GET /no/such/path", signed("lambda"), b"", "UnknownOperationException", 404),
    ],
)
def test_what_goes_nowhere(request_line: str, headers: dict[str, str], body: bytes, error: str, status: int) -> None:
    method, _, target = request_line.partition(" ")
    path, _, query = target.partition("?")
    with pytest.raises(AwsError) as caught:
        ROUTER.route(method, "h", path, query, headers, body)
    assert str(caught.value).startswith(error)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "target, headers, body, protocol",
    [
        ("/service/GraniteServiceVersion20100801/operation/ListMetrics", {"smithy-protocol": "rpc-v2-cbor"}, b"", "smithy-rpc-v2-cbor"),
        ("/", {"x-amz-target": "GraniteServiceVersion20100801.ListMetrics"}, b"{}", "json"),
        ("/", {"content-type": FORM}, b"Action=ListMetrics&Version=2010-08-01", "query"),
    ],
)
def test_a_service_is_reached_by_each_protocol_that_it_lists(target: str, headers: dict[str, str], body: bytes, protocol: str) -> None:
    route = ROUTER.route("POST", "h", target, "", {**headers, **signed("monitoring")}, body)
    assert (route.service, route.operation, route.protocol) == ("cloudwatch", "ListMetrics", protocol)


@pytest.mark.parametrize(
    "host, bucket",
    [
        ("bucket.s3.amazonaws.com", "bucket"),
        ("a.b.c.s3.eu-west-1.amazonaws.com:443", "a.b.c"),
        ("bucket.s3-eu-west-1.amazonaws.com", "bucket"),
        ("bucket.s3.dualstack.eu-west-1.amazonaws.com", "bucket"),
        ("bucket.s3.localhost:4566", "bucket"),
        ("bucket.localhost:4566", "bucket"),
        ("my.bucket.localhost", "my.bucket"),
        ("s3.us-east-1.localhost", None),
        ("s3.eu-west-1.amazonaws.com", None),
        ("s3.localhost", None),
        ("127.0.0.1:4566", None),
        ("localhost:4566", None),
        ("ssm.eu-west-1.amazonaws.com", None),
        ("", None),
        ("x" * 300 + ".s3.amazonaws.com", None),
    ],
)
def test_buckets_in_hosts(host: str, bucket: str | None) -> None:
    assert bucket_of_host(host) == bucket


def test_the_scopes_service() -> None:
    assert scope_service(signed("logs"), "") == "logs"
    assert scope_service({}, "X-Amz-Credential=AKID%2F20260101%2Feu-west-1%2Fs3%2Faws4_request&a=b") == "s3"
    assert scope_service({"authorization": "Basic YTpi"}, "") is None
    assert scope_service({}, "") is None
