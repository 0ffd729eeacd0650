"""Trails through boto3: what a bucket must allow, what arrives in it, and the real CLI's opinion of the digests."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import ACCOUNT, REGION, InProcessCloud, until
from windtunnel.kernel.clock import SystemClock

TRAIL = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/all"
PREFIX = f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/"


def bucket_policy(bucket: str, prefix: str = "") -> str:
    """As the user guide gives it."""
    service = {"Service": "cloudtrail.amazonaws.com"}
    source = {"aws:SourceArn": TRAIL}
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": service,
                    "Action": "s3:GetBucketAcl",
                    "Resource": f"arn:aws:s3:::{bucket}",
                    "Condition": {"StringEquals": source},
                },
                {
                    "Effect": "Allow",
                    "Principal": service,
                    "Action": "s3:PutObject",
                    "Resource": f"arn:aws:s3:::{bucket}/{prefix}AWSLogs/{ACCOUNT}/*",
                    "Condition": {"StringEquals": source | {"s3:x-amz-acl": "bucket-owner-full-control"}},
                },
            ],
        }
    )


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path, clock=SystemClock(1000.0)) as running:
        yield running


@pytest.fixture
def door(cloud: InProcessCloud) -> Door:
    made = Door(cloud)
    s3 = made.client("s3")
    s3.create_bucket(Bucket="trails")
    s3.put_bucket_policy(Bucket="trails", Policy=bucket_policy("trails"))
    return made


def keys(door: Door, prefix: str = PREFIX) -> list[str]:
    return [found["Key"] for found in door.client("s3").list_objects_v2(Bucket="trails", Prefix=prefix).get("Contents", [])]


def delivered(door: Door, prefix: str = PREFIX) -> list[dict[str, Any]]:
    bodies = [door.client("s3").get_object(Bucket="trails", Key=key)["Body"].read() for key in keys(door, prefix)]
    return [record for body in bodies for record in json.loads(gzip.decompress(body))["Records"]]


def names(door: Door, prefix: str = PREFIX) -> list[str]:
    return [record["eventName"] for record in delivered(door, prefix)]


def logging(door: Door, **more: Any) -> Any:
    trail = door.client("cloudtrail")
    trail.create_trail(Name="all", S3BucketName="trails", **more)
    trail.start_logging(Name="all")
    return trail


def test_what_happens_is_in_the_bucket_once(door: Door) -> None:
    trail = logging(door)
    for nth in range(5):
        door.client("logs").create_log_group(logGroupName=f"g{nth}")
    until(lambda: names(door).count("CreateLogGroup") == 5, what="five events are delivered")
    door.client("logs").create_log_group(logGroupName="last")
    until(lambda: names(door).count("CreateLogGroup") == 6, what="the sixth is too")
    ids = [record["eventID"] for record in delivered(door)]
    assert len(ids) == len(set(ids))
    status = trail.get_trail_status(Name="all")
    assert status["IsLogging"] and status["LatestDeliveryTime"] and "LatestDeliveryError" not in status
    assert all(key.endswith(".json.gz") and f"{ACCOUNT}_CloudTrail_{REGION}_20" in key for key in keys(door))
    head = door.client("s3").head_object(Bucket="trails", Key=keys(door)[0])
    assert (head["ContentType"], head["ContentEncoding"]) == ("application/json", "gzip")


def test_a_bucket_without_the_policy_is_refused_and_nothing_is_made(door: Door) -> None:
    trail = door.client("cloudtrail")
    door.client("s3").create_bucket(Bucket="plain")
    with pytest.raises(ClientError, match="InsufficientS3BucketPolicyException.*plain"):
        trail.create_trail(Name="all", S3BucketName="plain")
    with pytest.raises(ClientError, match="S3BucketDoesNotExistException"):
        trail.create_trail(Name="all", S3BucketName="nowhere-at-all")
    with pytest.raises(ClientError, match="InsufficientS3BucketPolicyException"):
        trail.create_trail(Name="other", S3BucketName="trails")  # the policy names another trail
    with pytest.raises(ClientError, match="InsufficientS3BucketPolicyException"):
        trail.create_trail(Name="all", S3BucketName="trails", S3KeyPrefix="elsewhere")
    assert trail.describe_trails()["trailList"] == []


def test_a_stopped_trail_delivers_what_came_before_and_no_more(door: Door) -> None:
    trail = logging(door)
    door.client("logs").create_log_group(logGroupName="before")
    until(lambda: "CreateLogGroup" in names(door))
    trail.stop_logging(Name="all")
    door.client("logs").create_log_group(logGroupName="between")
    trail.start_logging(Name="all")
    door.client("logs").create_log_group(logGroupName="after")

    def groups() -> list[str]:
        return [one["requestParameters"]["logGroupName"] for one in delivered(door) if one["eventName"] == "CreateLogGroup"]

    until(lambda: "after" in groups())
    assert sorted(groups()) == ["after", "before"]


def test_a_bucket_that_stops_allowing_shows_and_holds_back(door: Door) -> None:
    trail = logging(door)
    door.client("s3").delete_bucket_policy(Bucket="trails")
    door.client("logs").create_log_group(logGroupName="g")
    until(lambda: trail.get_trail_status(Name="all").get("LatestDeliveryError") == "AccessDenied")
    door.client("s3").put_bucket_policy(Bucket="trails", Policy=bucket_policy("trails"))
    until(lambda: names(door).count("CreateLogGroup") == 1, what="it is delivered after all")
    assert "LatestDeliveryError" not in trail.get_trail_status(Name="all")


def test_selectors_choose(door: Door) -> None:
    trail = logging(door)
    trail.put_event_selectors(
        TrailName="all",
        EventSelectors=[
            {
                "ReadWriteType": "WriteOnly",
                "IncludeManagementEvents": True,
                "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::data/kept"]}],
            }
        ],
    )
    s3 = door.client("s3")
    s3.create_bucket(Bucket="data")
    s3.put_object(Bucket="data", Key="kept/1", Body=b"x")
    s3.put_object(Bucket="data", Key="other", Body=b"x")
    s3.get_object(Bucket="data", Key="kept/1")
    s3.list_buckets()
    until(lambda: "PutObject" in names(door))
    mine = [one for one in delivered(door) if one["eventName"] in ("PutObject", "GetObject", "ListBuckets", "CreateBucket")]
    assert sorted(one["eventName"] for one in mine) == ["CreateBucket", "PutObject"]
    [put] = [one for one in mine if one["eventName"] == "PutObject"]
    assert (put["eventCategory"], put["managementEvent"]) == ("Data", False)
    assert {"accountId": ACCOUNT, "type": "AWS::S3::Object", "ARN": "arn:aws:s3:::data/kept/1"} in put["resources"]


def test_advanced_selectors_choose(door: Door) -> None:
    trail = logging(door)
    fields = [{"Field": "eventCategory", "Equals": ["Management"]}, {"Field": "eventSource", "NotEquals": ["iam.amazonaws.com"]}]
    asked = [{"Name": "not iam", "FieldSelectors": fields}]
    assert trail.put_event_selectors(TrailName="all", AdvancedEventSelectors=asked)["AdvancedEventSelectors"] == asked
    assert trail.get_event_selectors(TrailName="all")["AdvancedEventSelectors"] == asked
    door.client("iam").create_user(UserName="ann")
    door.client("logs").create_log_group(logGroupName="g")
    until(lambda: "CreateLogGroup" in names(door))
    assert "CreateUser" not in names(door)


def test_a_trail_of_every_region(door: Door) -> None:
    logging(door, IsMultiRegionTrail=True)
    door.client("logs", region="eu-west-1").create_log_group(logGroupName="g")
    until(lambda: "CreateLogGroup" in names(door, f"AWSLogs/{ACCOUNT}/CloudTrail/eu-west-1/"))
    [shadow] = door.client("cloudtrail", region="eu-west-1").describe_trails()["trailList"]
    assert (shadow["HomeRegion"], shadow["TrailARN"]) == (REGION, TRAIL)
    with pytest.raises(ClientError, match="InvalidHomeRegionException"):
        door.client("cloudtrail", region="eu-west-1").stop_logging(Name="all")


def test_a_log_group_gets_the_events_by_the_trails_role(door: Door) -> None:
    logs, iam = door.client("logs"), door.client("iam")
    logs.create_log_group(logGroupName="trail")
    trust = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName="trail", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
    group, role = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:trail:*", f"arn:aws:iam::{ACCOUNT}:role/trail"
    with pytest.raises(ClientError, match="InvalidCloudWatchLogsRoleArnException"):
        logging(door, CloudWatchLogsLogGroupArn=group, CloudWatchLogsRoleArn=role)
    allow = {
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": group.removesuffix("*") + "log-stream:*",
    }
    iam.put_role_policy(RoleName="trail", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    logging(door, CloudWatchLogsLogGroupArn=group, CloudWatchLogsRoleArn=role)
    iam.create_user(UserName="ann")

    def seen() -> list[str]:
        events = logs.filter_log_events(logGroupName="trail", filterPattern='{ $.eventName = "CreateUser" }')["events"]
        return [json.loads(event["message"])["requestParameters"]["userName"] for event in events]

    assert until(seen) == ["ann"]


def test_a_topic_is_told_of_each_file_and_a_key_seals_it(door: Door) -> None:
    sns, sqs, trail = door.client("sns"), door.client("sqs"), door.client("cloudtrail")
    topic = sns.create_topic(Name="files")["TopicArn"]
    with pytest.raises(ClientError, match="InsufficientSnsTopicPolicyException"):
        trail.create_trail(Name="all", S3BucketName="trails", SnsTopicName="files")
    service = {"Service": "cloudtrail.amazonaws.com"}
    publish = {"Effect": "Allow", "Principal": service, "Action": "sns:Publish", "Resource": topic}
    sns.set_topic_attributes(
        TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": [publish]})
    )
    queue = sqs.create_queue(QueueName="files")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:files"
    send = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [send]})})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})

    kms = door.client("kms")
    refused = kms.create_key()["KeyMetadata"]["Arn"]
    with pytest.raises(ClientError, match="InsufficientEncryptionPolicyException"):
        trail.create_trail(Name="all", S3BucketName="trails", KmsKeyId=refused)
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}
    use = {"Effect": "Allow", "Principal": service, "Action": ["kms:GenerateDataKey*", "kms:DescribeKey"], "Resource": "*"}
    key = kms.create_key(Policy=json.dumps({"Version": "2012-10-17", "Statement": [root, use]}))["KeyMetadata"]["Arn"]
    logging(door, SnsTopicName="files", KmsKeyId=key)
    door.client("logs").create_log_group(logGroupName="g")
    told: list[str] = []

    def file_is_named() -> bool:
        told.extend(message["Body"] for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []))
        return any("s3ObjectKey" in body for body in told)

    until(file_is_named, what="the topic is told of a file")
    assert "CloudTrail validation message." in told
    said = json.loads(next(body for body in told if "s3ObjectKey" in body))
    head = door.client("s3").head_object(Bucket=said["s3Bucket"], Key=said["s3ObjectKey"][0])
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)
    assert trail.get_trail_status(Name="all")["LatestNotificationTime"]


def test_eventbridge_gets_the_writes_that_a_rule_asks_for(door: Door) -> None:
    logging(door)
    events, logs, sqs = door.client("events"), door.client("logs"), door.client("sqs")
    queue = sqs.create_queue(QueueName="seen")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:seen"
    allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": document})
    logs.create_log_group(logGroupName="before")
    pattern = {"source": ["aws.logs"], "detail-type": ["AWS API Call via CloudTrail"], "detail": {"eventName": ["CreateLogGroup"]}}
    events.put_rule(Name="groups", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="groups", Targets=[{"Id": "q", "Arn": arn}])
    logs.create_log_group(logGroupName="g")
    door.client("iam").create_user(UserName="ann")
    logs.describe_log_groups()
    logs.create_log_group(logGroupName="h")
    seen: list[dict[str, Any]] = []

    def both() -> bool:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            seen.append(json.loads(message["Body"]))
        return len(seen) >= 2

    until(both, what="both events arrive")
    assert sorted(event["detail"]["requestParameters"]["logGroupName"] for event in seen) == ["g", "h"]
    assert {(event["source"], event["detail-type"], event["detail"]["awsRegion"]) for event in seen} == {
        ("aws.logs", "AWS API Call via CloudTrail", REGION)
    }


def test_the_real_cli_validates_the_digests(door: Door) -> None:
    trail = logging(door, EnableLogFileValidation=True)
    door.client("logs").create_log_group(logGroupName="g")
    until(lambda: "CreateLogGroup" in names(door))
    digest_prefix = f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/{REGION}/"
    until(lambda: len(keys(door, digest_prefix)) >= 2, seconds=30, what="two digests")
    assert trail.get_trail_status(Name="all")["LatestDigestDeliveryTime"]
    assert trail.list_public_keys()["PublicKeyList"]
    valid = validated(door)
    assert len(valid) >= 2 and any(digest["logFiles"] for digest in valid)


def validated(door: Door) -> list[dict[str, Any]]:
    """What the CLI's own code says of each digest, from the newest back. Raises when one is invalid, missing or out of its chain."""
    from datetime import UTC, datetime, timedelta

    from awscli.customizations.cloudtrail.validation import DigestProvider, DigestTraverser, PublicKeyProvider

    class Clients:
        def get_client(self, bucket: str) -> Any:
            return door.client("s3")

    class Keys:
        """The CLI leaves blobs as base64, boto3 does not."""

        def list_public_keys(self, **asked: Any) -> Any:
            answer = door.client("cloudtrail").list_public_keys(**asked)
            for key in answer["PublicKeyList"]:
                key["Value"] = base64.b64encode(key["Value"])
            return answer

    def refuse(**said: Any) -> None:
        raise AssertionError(said)

    provider = DigestProvider(Clients(), account_id=ACCOUNT, trail_name="all", trail_home_region=REGION, trail_source_region=REGION)
    traverser = DigestTraverser(
        provider,
        starting_bucket="trails",
        starting_prefix="",
        public_key_provider=PublicKeyProvider(Keys()),
        on_invalid=refuse,
        on_gap=refuse,
        on_missing=refuse,
    )
    now = datetime.now(UTC)
    return list(traverser.traverse_digests(now - timedelta(hours=1), now + timedelta(minutes=1)))


@pytest.mark.parametrize("name", ["ab", "-abc", "a..b", "192.168.1.1", "a b c", "x" * 129])
def test_names_that_no_trail_may_have(door: Door, name: str) -> None:
    with pytest.raises(ClientError, match="InvalidTrailNameException"):
        door.client("cloudtrail").create_trail(Name=name, S3BucketName="trails")


def test_a_trail_is_shown_updated_tagged_and_deleted(door: Door) -> None:
    trail = door.client("cloudtrail")
    made = trail.create_trail(Name="all", S3BucketName="trails", TagsList=[{"Key": "a", "Value": "1"}])
    assert made["TrailARN"] == TRAIL and made["IncludeGlobalServiceEvents"] is True
    with pytest.raises(ClientError, match="TrailAlreadyExistsException"):
        trail.create_trail(Name="all", S3BucketName="trails")
    assert trail.update_trail(Name="all", IsMultiRegionTrail=True)["IsMultiRegionTrail"] is True
    assert trail.get_trail(Name=TRAIL)["Trail"]["HomeRegion"] == REGION
    assert trail.get_trail_status(Name="all")["IsLogging"] is False
    [default] = trail.get_event_selectors(TrailName="all")["EventSelectors"]
    assert (default["ReadWriteType"], default["IncludeManagementEvents"]) == ("All", True)
    with pytest.raises(ClientError, match="InsightNotEnabledException"):
        trail.get_insight_selectors(TrailName="all")
    trail.add_tags(ResourceId=TRAIL, TagsList=[{"Key": "b", "Value": "2"}])
    trail.remove_tags(ResourceId=TRAIL, TagsList=[{"Key": "a"}])
    assert trail.list_tags(ResourceIdList=[TRAIL])["ResourceTagList"][0]["TagsList"] == [{"Key": "b", "Value": "2"}]
    assert [one["Name"] for one in trail.list_trails()["Trails"]] == ["all"]
    trail.delete_trail(Name="all")
    with pytest.raises(ClientError, match="TrailNotFoundException"):
        trail.get_trail(Name="all")
    assert trail.describe_trails(trailNameList=["all"])["trailList"] == []
