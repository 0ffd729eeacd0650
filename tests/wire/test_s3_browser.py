"""S3 as browsers use it, against a real server: upload forms with policies, cross-origin rules, websites; and boto3 over the same wire."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from harness import until
from shell import client
from windtunnel.gateways.s3_forms import FormReader
from windtunnel.kernel.errors import AwsError
from windtunnel.labs.cloud import LabCloud

pytestmark = pytest.mark.slow
ORIGIN = "https://shop.example"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabCloud]:
    directory = tmp_path_factory.mktemp("browser")
    cloud = LabCloud(directory / "data", directory / "log")
    cloud.start()
    try:
        yield cloud
    finally:
        cloud.stop()


def client_of(lab: LabCloud, **config: Any) -> Any:
    return client(lab, "s3", retries={"total_max_attempts": 1}, **config)


@pytest.fixture(scope="module")
def s3(lab: LabCloud) -> Any:
    return client_of(lab)


@pytest.fixture()
def bucket(s3: Any, request: pytest.FixtureRequest) -> str:
    name = "b" + hashlib.md5(request.node.name.encode()).hexdigest()[:20]
    s3.create_bucket(Bucket=name)
    return name


def opened(s3: Any, bucket: str, *actions: str) -> None:
    """Everybody may do this to the bucket's objects."""
    s3.delete_public_access_block(Bucket=bucket)
    statement = {"Effect": "Allow", "Principal": "*", "Action": list(actions), "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_stranger_uploads_where_everybody_may_and_nowhere_else(lab: LabCloud, s3: Any, bucket: str, size: int) -> None:
    url = f"{lab.environment()['AWS_ENDPOINT_URL']}/{bucket}/in/file"
    data = bytes(range(250)) * (size // 250) or b"small"
    refused = httpx.put(url, content=data)
    assert (refused.status_code, "<Code>AccessDenied</Code>" in refused.text) == (403, True)
    opened(s3, bucket, "s3:PutObject")
    assert httpx.put(url, content=data).status_code == 200
    assert s3.get_object(Bucket=bucket, Key="in/file")["Body"].read() == data
    wrong = httpx.put(url, content=data, headers={"content-md5": base64.b64encode(bytes(16)).decode()})
    assert (wrong.status_code, "<Code>BadDigest</Code>" in wrong.text) == (400, True)
    assert s3.get_object(Bucket=bucket, Key="in/file")["Body"].read() == data


# -- forms --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signature", ["s3v4", "s3"])
@pytest.mark.parametrize("size", [0, 1000, 3_000_000])
def test_a_signed_form_uploads(lab: LabCloud, s3: Any, bucket: str, signature: str, size: int) -> None:
    data = bytes(range(256)) * (size // 256)
    fields = {"Content-Type": "image/png", "x-amz-meta-color": "red", "success_action_status": "201"}
    conditions = [{name: value} for name, value in fields.items()] + [["content-length-range", 0, 5_000_000]]
    form = client_of(lab, signature_version=signature).generate_presigned_post(bucket, "in/${filename}", fields, conditions)
    reply = httpx.post(form["url"], data=form["fields"], files={"file": ("cat.png", data)})
    assert reply.status_code == 201, reply.text
    assert "<Key>in/cat.png</Key>" in reply.text
    got = s3.get_object(Bucket=bucket, Key="in/cat.png")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (data, "image/png", {"color": "red"})


def test_a_forms_event_says_so(lab: LabCloud, s3: Any, bucket: str) -> None:
    sqs = client(lab, "sqs")
    url = sqs.create_queue(QueueName=bucket)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})})
    told = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:Post"]}]}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=told)
    s3.put_object(Bucket=bucket, Key="put", Body=b"x")
    form = s3.generate_presigned_post(bucket, "form")
    assert httpx.post(form["url"], data=form["fields"], files={"file": b"x"}).status_code == 204

    def heard() -> list[str]:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=5).get("Messages", [])
        return [f"{r['eventName']} {r['s3']['object']['key']}" for m in messages for r in json.loads(m["Body"]).get("Records", [])]

    found: list[str] = []
    until(lambda: found.extend(heard()) or found, what="the form's event")
    assert found == ["ObjectCreated:Post form"]


@pytest.mark.parametrize(
    "change, file, code, words",
    [
        pytest.param({"key": "other/x"}, b"x", "AccessDenied", "Policy Condition failed", id="another key"),
        pytest.param({"acl": "public-read"}, b"x", "AccessDenied", "Extra input fields: acl", id="a field that the policy does not name"),
        pytest.param({}, b"x" * 11, "EntityTooLarge", "maximum", id="too large"),
        pytest.param({}, b"", "EntityTooSmall", "minimum", id="too small"),
        pytest.param(
            {"policy": base64.b64encode(b'{"expiration": "2099-01-01T00:00:00Z", "conditions": []}').decode()},
            b"x",
            "SignatureDoesNotMatch",
            "",
            id="another policy",
        ),
        pytest.param({"x-amz-credential": "AKIANOBODY/20260101/us-east-1/s3/aws4_request"}, b"x", "InvalidA", "", id="nobody's key"),
    ],
)
def test_a_form_does_what_its_policy_allows_and_no_more(
    lab: LabCloud, s3: Any, bucket: str, change: dict[str, str], file: bytes, code: str, words: str
) -> None:
    conditions = [["starts-with", "$key", "in/"], ["content-length-range", 1, 10]]
    form = client_of(lab, signature_version="s3v4").generate_presigned_post(bucket, "in/x", {}, conditions)
    # boto3 pins the key; the policy here allows a prefix instead, so the last condition must fail for another key.
    reply = httpx.post(form["url"], data={**form["fields"], **change}, files={"file": ("f", file)})
    assert reply.status_code in (400, 403)
    assert code in reply.text
    assert words in reply.text
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_an_expired_policy_and_a_redirect(lab: LabCloud, s3: Any, bucket: str) -> None:
    signer = client_of(lab, signature_version="s3v4")
    old = signer.generate_presigned_post(bucket, "k", ExpiresIn=-5)
    assert "Policy expired" in httpx.post(old["url"], data=old["fields"], files={"file": b"x"}).text
    fields = {"success_action_redirect": "https://shop.example/done?x=1"}
    form = signer.generate_presigned_post(bucket, "k", fields, [fields])
    reply = httpx.post(form["url"], data=form["fields"], files={"file": b"x"})
    assert reply.status_code == 303
    assert reply.headers["location"].startswith(f"https://shop.example/done?x=1&bucket={bucket}&key=k&etag=")


def test_an_unsigned_form_needs_the_buckets_leave(lab: LabCloud, s3: Any, bucket: str) -> None:
    url = f"{lab.environment()['AWS_ENDPOINT_URL']}/{bucket}"
    assert httpx.post(url, data={"key": "k"}, files={"file": b"x"}).status_code == 403
    opened(s3, bucket, "s3:PutObject")
    assert httpx.post(url, data={"key": "k"}, files={"file": b"evil"}, headers={"Origin": ORIGIN}).status_code == 403
    assert httpx.post(url, data={"key": "k"}, files={"file": b"x"}).status_code == 204
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_a_form_is_read_the_same_however_it_comes() -> None:
    body = (
        b'--B\r\nContent-Disposition: form-data; name="key"\r\n\r\na/b\r\n--B\r\nContent-Disposition: form-data; name="empty"\r\n\r\n\r\n'
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="C:\\\\x\\\\y.txt"\r\nContent-Type: text/plain\r\n\r\n'
        b"line\r\n--C is no end\r\n--B--\r\n"
    )
    for step in (1, 2, 7, 1000):
        reader = FormReader("multipart/form-data; boundary=B")
        file = b"".join(reader.feed(body[at : at + step]) for at in range(0, len(body), step))
        reader.finish()
        assert (file, reader.fields, reader.filename) == (b"line\r\n--C is no end", {"key": "a/b", "empty": ""}, "y.txt")
    with pytest.raises(AwsError, match="IncompleteBody"):
        cut = FormReader("multipart/form-data; boundary=B")
        cut.feed(body[:-10])
        cut.finish()


# -- other origins ------------------------------------------------------------------------------------------------------


def test_a_page_of_another_origin_gets_what_the_rules_say(lab: LabCloud, s3: Any, bucket: str) -> None:
    url = f"{lab.environment()['AWS_ENDPOINT_URL']}/{bucket}/k"
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    opened(s3, bucket, "s3:GetObject")
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type, x-amz-meta-a"}
    assert httpx.options(url, headers=asked).status_code == 403
    assert "access-control-allow-origin" not in httpx.get(url, headers={"Origin": ORIGIN}).headers
    rules = [
        {"AllowedMethods": ["PUT"], "AllowedOrigins": ["https://*.example"], "AllowedHeaders": ["*"], "MaxAgeSeconds": 60},
        {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "ExposeHeaders": ["ETag"]},
    ]
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})
    reply = httpx.options(url, headers=asked)
    assert reply.status_code == 200
    said = {name: reply.headers[f"access-control-{name}"] for name in ("allow-origin", "allow-methods", "allow-headers", "max-age")}
    assert said == {"allow-origin": ORIGIN, "allow-methods": "PUT", "allow-headers": "content-type, x-amz-meta-a", "max-age": "60"}
    assert httpx.options(url, headers={**asked, "Origin": "https://evil.test"}).status_code == 403
    got = httpx.get(url, headers={"Origin": ORIGIN})
    assert (got.content, got.headers["access-control-allow-origin"], got.headers["access-control-expose-headers"]) == (b"x", "*", "ETag")
    signed = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "p"})
    put = httpx.put(signed, content=b"y", headers={"Origin": ORIGIN})
    assert (put.status_code, put.headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert httpx.put(url, content=b"z", headers={"Origin": ORIGIN}).status_code == 403
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


# -- websites -----------------------------------------------------------------------------------------------------------


def test_a_bucket_is_a_website(lab: LabCloud, s3: Any, bucket: str) -> None:
    endpoint = lab.environment()["AWS_ENDPOINT_URL"]
    site = {"Host": f"{bucket}.s3-website.localhost"}

    def visit(path: str) -> httpx.Response:
        return httpx.get(f"{endpoint}{path}", headers=site)

    assert "NoSuchWebsiteConfiguration" in visit("/").text
    pages = {"index.html": b"home", "docs/index.html": b"docs", "error.html": b"oops"}
    for key, body in pages.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="text/html")
    s3.put_object(Bucket=bucket, Key="moved", WebsiteRedirectLocation="/docs/")
    rules = [{"Condition": {"KeyPrefixEquals": "old/"}, "Redirect": {"ReplaceKeyPrefixWith": "docs/"}}]
    s3.put_bucket_website(
        Bucket=bucket,
        WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "error.html"}, "RoutingRules": rules},
    )
    assert visit("/").status_code == 403
    opened(s3, bucket, "s3:GetObject")
    assert (visit("/").content, visit("/docs/").content) == (b"home", b"docs")
    assert visit("/").headers["content-type"] == "text/html"
    assert (visit("/docs").status_code, visit("/docs").headers["location"]) == (302, "/docs/")
    assert (visit("/moved").status_code, visit("/moved").headers["location"]) == (301, "/docs/")
    assert visit("/old/index.html").headers["location"] == f"http://{bucket}.s3-website.localhost/docs/index.html"
    # Who may not list the bucket is not told what is missing.
    assert (visit("/nothing").status_code, visit("/nothing").content) == (403, b"oops")
    assert httpx.post(f"{endpoint}/", headers=site).status_code == 405


# -- damage, over the wire ----------------------------------------------------------------------------------------------


def test_damaged_objects_are_an_error_or_a_broken_answer(lab: LabCloud, s3: Any, bucket: str) -> None:
    data = bytes(range(256)) * 20_000
    before = set(lab.data.rglob("blobs/*/*"))
    s3.put_object(Bucket=bucket, Key="k", Body=data)
    (file,) = set(lab.data.rglob("blobs/*/*")) - before
    raw = bytearray(file.read_bytes())
    raw[-1000] ^= 1
    file.write_bytes(raw)
    with pytest.raises(Exception, match="(?i)incomplete|broken|read|closed"):
        s3.get_object(Bucket=bucket, Key="k")["Body"].read()
    assert s3.get_object(Bucket=bucket, Key="k", Range="bytes=5-104")["Body"].read() == data[5:105]
    file.unlink()
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="k")
    assert (caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]) == ("InternalError", 500)
    assert "the stored bytes are damaged" in lab.log.read_text()
