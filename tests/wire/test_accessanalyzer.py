"""Access Analyzer's policy checks through boto3."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import InProcessCloud
from windtunnel.kernel.clock import FixedClock


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


@pytest.fixture
def analyzer(tmp_path: Path) -> Iterator[Any]:
    with InProcessCloud(tmp_path, clock=FixedClock(float(int(time.time())))) as cloud:
        yield Door(cloud).client("accessanalyzer")


def refusal(call: Any, **args: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**args)
    code: str = refused.value.response["Error"]["Code"]
    return code


def test_findings_have_codes_words_and_places(analyzer: Any) -> None:
    text = policy(allow(["s3:GetObjekt", "iam:PassRole"]))
    found = analyzer.validate_policy(policyDocument=text, policyType="IDENTITY_POLICY")["findings"]
    assert [(each["findingType"], each["issueCode"]) for each in found] == [
        ("ERROR", "INVALID_ACTION"),
        ("SECURITY_WARNING", "PASS_ROLE_WITH_STAR_IN_RESOURCE"),
    ]
    assert found[0]["findingDetails"] == "The action s3:GetObjekt does not exist. Did you mean s3:GetObject?"
    span = found[0]["locations"][0]["span"]
    assert text[span["start"]["offset"] : span["end"]["offset"]] == '"s3:GetObjekt"'
    assert found[0]["locations"][0]["path"] == [{"value": "Statement"}, {"index": 0}, {"value": "Action"}, {"index": 0}]


def test_findings_come_in_pages(analyzer: Any) -> None:
    text = policy(allow([f"s3:Nothing{n}" for n in range(5)]))
    pages = list(
        analyzer.get_paginator("validate_policy").paginate(
            policyDocument=text, policyType="IDENTITY_POLICY", PaginationConfig={"PageSize": 2}
        )
    )
    assert [len(page["findings"]) for page in pages] == [2, 2, 1]


def test_what_is_not_judged_is_refused(analyzer: Any) -> None:
    text = policy(allow("s3:GetObject"))
    assert refusal(analyzer.validate_policy, policyDocument=text, policyType="SERVICE_CONTROL_POLICY") == "NotImplemented"
    assert analyzer.list_analyzers()["analyzers"] == []
    assert refusal(analyzer.create_analyzer, analyzerName="a", type="ACCOUNT") == "NotImplemented"
    assert refusal(analyzer.check_no_new_access, newPolicyDocument="{}", existingPolicyDocument=text, policyType="IDENTITY_POLICY") == (
        "InvalidParameterException"
    )


def test_the_custom_checks_pass_and_fail(analyzer: Any) -> None:
    wide, narrow = policy(allow("s3:*", Sid="All")), policy(allow("s3:GetObject"))
    asked = {"policyType": "IDENTITY_POLICY", "access": [{"actions": ["s3:DeleteBucket"]}]}
    assert analyzer.check_access_not_granted(policyDocument=narrow, **asked)["result"] == "PASS"
    failed = analyzer.check_access_not_granted(policyDocument=wide, **asked)
    assert (failed["result"], failed["reasons"][0]["statementIndex"], failed["reasons"][0]["statementId"]) == ("FAIL", 0, "All")
    pair = {"newPolicyDocument": wide, "existingPolicyDocument": narrow, "policyType": "IDENTITY_POLICY"}
    assert analyzer.check_no_new_access(**pair)["result"] == "FAIL"
    assert analyzer.check_no_new_access(**{**pair, "newPolicyDocument": narrow, "existingPolicyDocument": wide})["result"] == "PASS"
    public = policy(allow("s3:GetObject", "arn:aws:s3:::b/*", Principal="*"))
    assert analyzer.check_no_public_access(policyDocument=public, resourceType="AWS::S3::Bucket")["result"] == "FAIL"
    trust = policy({"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"})
    assert analyzer.check_no_public_access(policyDocument=trust, resourceType="AWS::IAM::AssumeRolePolicyDocument")["result"] == "PASS"
