"""What AWS says of policy documents that are wrong, and that right ones pass."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from windtunnel.iam.grammar import Kind, validate
from windtunnel.iam.policy import compile_policy
from windtunnel.kernel.errors import AwsError

BUCKET = "arn:aws:s3:::example"


def identity(**changes: Any) -> str:
    statement = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": BUCKET, **changes}
    kept = {name: value for name, value in statement.items() if value is not None}
    return json.dumps({"Version": "2012-10-17", "Statement": kept})


def trust(**changes: Any) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": "codebuild.amazonaws.com"}, "Action": "sts:AssumeRole", **changes}
    kept = {name: value for name, value in statement.items() if value is not None}
    return json.dumps({"Version": "2012-10-17", "Statement": [kept]})


def resource(**changes: Any) -> str:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": BUCKET + "/*", **changes}
    kept = {name: value for name, value in statement.items() if value is not None}
    return json.dumps({"Version": "2012-10-17", "Statement": [kept]})


SYNTAX = "Syntax errors in policy."
SIDS = "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
LEGACY = "The policy failed legacy parsing"
VERSION = "Policy document must be version 2012-10-17 or greater."
VENDOR = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
NOT_JSON = "Policies must be valid JSON and the first byte must be '{'"
ONLY_STS = "AssumeRole policy may only specify STS AssumeRole actions."


@pytest.mark.parametrize(
    "kind, text, words",
    [
        pytest.param("identity", "not json", SYNTAX, id="identity: text that is no JSON"),
        pytest.param("identity", "[" * 100_000, SYNTAX, id="identity: nesting without end"),
        pytest.param("identity", "[]", SYNTAX, id="identity: a list"),
        pytest.param("identity", '{"Version":"2012-10-17"}', SYNTAX, id="identity: no statement"),
        pytest.param("identity", '{"Version":"2012-10-17","Statement":[]}', SYNTAX, id="identity: an empty statement list"),
        pytest.param("identity", '{"Version":"2012-10-17","Statement":["x"]}', SYNTAX, id="identity: a statement that is text"),
        pytest.param("identity", json.dumps({"Statement": json.loads(identity())["Statement"]}), VERSION, id="identity: no version"),
        pytest.param("identity", identity().replace("2012", "2008"), VERSION, id="identity: the old version"),
        pytest.param("inline", identity().replace("2012", "2013"), SYNTAX, id="inline: a version that never was"),
        pytest.param("inline", identity(Effect="denY"), LEGACY, id="inline: an effect in the wrong case"),
        pytest.param("identity", identity().replace("2012", "2013"), SYNTAX, id="identity: a version that never was"),
        pytest.param("identity", identity(Extra="x"), SYNTAX, id="identity: an unknown element"),
        pytest.param("identity", identity(Effect=None), SYNTAX, id="identity: no effect"),
        pytest.param("identity", identity(Effect="Perhaps"), SYNTAX, id="identity: an unknown effect"),
        pytest.param("identity", identity(Effect="denY"), LEGACY, id="identity: an effect in the wrong case"),
        pytest.param("identity", identity(Sid=[]), SYNTAX, id="identity: a Sid that is a list"),
        pytest.param("identity", identity(Sid="with space"), SIDS, id="identity: a Sid with a space"),
        pytest.param("identity", identity(Action={}), SYNTAX, id="identity: an action that is an object"),
        pytest.param("identity", identity(NotAction="s3:*"), SYNTAX, id="identity: both Action and NotAction"),
        pytest.param("identity", identity(NotResource="*"), SYNTAX, id="identity: both Resource and NotResource"),
        pytest.param("identity", identity(Condition=[]), SYNTAX, id="identity: a condition that is a list"),
        pytest.param("identity", identity(Condition={"StringSame": {"a": "b"}}), SYNTAX, id="identity: an unknown operator"),
        pytest.param("identity", identity(Condition={"ForAnyValue::StringEquals": {"a": "b"}}), SYNTAX, id="identity: two colons"),
        pytest.param("identity", identity(Condition={"ForAnyValue:Null": {"a": "true"}}), SYNTAX, id="identity: Null over a set"),
        pytest.param("identity", identity(Condition={"StringEquals": {"a": {}}}), SYNTAX, id="identity: a value that is an object"),
        pytest.param("identity", identity(Condition={"DateGreaterThan": {"a": "soon"}}), LEGACY, id="identity: a date that is none"),
        pytest.param(
            "identity", identity(Condition={"DateLessThan": {"a": "9223372036854775808"}}), LEGACY, id="identity: too many seconds"
        ),
        pytest.param("identity", identity(Condition={"Bool": {"a": "perhaps"}}), LEGACY, id="identity: a boolean that is none"),
        pytest.param("identity", identity(Resource="arn:aws:s3::short"), LEGACY, id="identity: an ARN one field short"),
        pytest.param("identity", identity(Resource="arn:aws::x"), LEGACY, id="identity: an ARN without a service"),
        pytest.param("identity", identity(Principal="*"), "Policy document should not specify a principal.", id="identity: a principal"),
        pytest.param("identity", identity(Action=None), "Policy statement must contain actions.", id="identity: no action"),
        pytest.param("identity", identity(Action=[]), "Policy statement must contain actions.", id="identity: an empty action list"),
        pytest.param("identity", identity(Resource=None), "Policy statement must contain resources.", id="identity: no resource"),
        pytest.param("identity", identity(Action="list"), VENDOR, id="identity: an action without its service"),
        pytest.param("identity", identity(Action=""), VENDOR, id="identity: an empty action"),
        pytest.param(
            "identity", identity(Action="a:b:c"), "Actions/Condition can contain only one colon.", id="identity: two colons in an action"
        ),
        pytest.param("identity", identity(Action="a a:b"), "Vendor a a is not valid", id="identity: a service with a space"),
        pytest.param("identity", identity(Resource="bucket"), 'Resource bucket must be in ARN format or "*".', id="identity: a bare name"),
        pytest.param(
            "identity",
            identity(Resource="arn:error:s3:::b"),
            'Partition "error" is not valid for resource "arn:error:s3:::b".',
            id="identity: an unknown partition",
        ),
        pytest.param(
            "identity",
            identity(Resource="aws:s3:::b"),
            'Partition "s3" is not valid for resource "arn:s3:::b:*".',
            id="identity: an ARN that forgot its first word",
        ),
        pytest.param(
            "identity",
            identity(Resource="arn:aws"),
            "Resource vendor must be fully qualified and cannot contain regexes.",
            id="identity: an ARN that ends after the partition",
        ),
        pytest.param(
            "identity",
            identity(Resource="arn:aws:s3:us-east-1::b"),
            "Resource arn:aws:s3:us-east-1::b can not contain region information.",
            id="identity: a bucket with a region",
        ),
        pytest.param(
            "identity",
            identity(Resource="arn:aws:iam:us-east-1::role/x"),
            "IAM resource arn:aws:iam:us-east-1::role/x cannot contain region information.",
            id="identity: a role with a region",
        ),
        pytest.param("trust", "{", "This policy contains invalid Json", id="trust: text that is no JSON"),
        pytest.param("trust", '{"Version":"2012-10-17"}', "Missing required field Statement", id="trust: no statement"),
        pytest.param("trust", '{"Statement":[]}', "Could not parse the policy: Statement is empty!", id="trust: an empty list"),
        pytest.param("trust", trust().replace("2012", "2013"), "The policy must contain a valid version string", id="trust: a version"),
        pytest.param("trust", trust(Effect=None), "Missing required field Effect", id="trust: no effect"),
        pytest.param("trust", trust(Effect="allow"), "Invalid effect: allow", id="trust: an effect in lower case"),
        pytest.param("trust", trust(Principal=None), "Missing required field Principal", id="trust: no principal"),
        pytest.param("trust", trust(Principal={}), "Missing required field Principal cannot be empty!", id="trust: an empty principal"),
        pytest.param("trust", trust(Principal="*"), "Principal must be a JSON object.", id="trust: a bare star"),
        pytest.param("trust", trust(Principal={"User": "x"}), 'Invalid principal in policy: "User"', id="trust: an unknown kind"),
        pytest.param(
            "trust",
            trust(Principal={"AWS": "arn:aws:iam::123456789012:user/*"}),
            'Invalid principal in policy: "AWS":"arn:aws:iam::123456789012:user/*"',
            id="trust: a wildcard in a principal's ARN",
        ),
        pytest.param(
            "trust",
            trust(Principal={"Service": "codebuild"}),
            'Invalid principal in policy: "Service":"codebuild"',
            id="trust: half a service principal",
        ),
        pytest.param("trust", trust(Action=None), "Missing required field Action", id="trust: no action"),
        pytest.param("trust", trust(Action="*"), ONLY_STS, id="trust: every action"),
        pytest.param("trust", trust(Action=["sts:AssumeRole", "s3:GetObject"]), ONLY_STS, id="trust: an action of another service"),
        pytest.param("trust", trust(Resource="*"), "Has prohibited field Resource", id="trust: a resource"),
        pytest.param("trust", trust(NotResource="*"), "AssumeRole policy must not contain resources.", id="trust: a NotResource"),
        pytest.param(
            "trust",
            trust(Principal=None, NotPrincipal={"AWS": "*"}),
            "Allow with NotPrincipal is not allowed.",
            id="trust: an allow with NotPrincipal",
        ),
        pytest.param("trust", trust(Condition={"Same": {"a": "b"}}), "Invalid Condition type : Same", id="trust: an unknown operator"),
        pytest.param("trust", trust(Extra="x"), "Unknown field Extra", id="trust: an unknown element"),
        pytest.param("resource", " {}", NOT_JSON, id="resource: a space before the brace"),
        pytest.param("resource", "{", NOT_JSON, id="resource: text that is no JSON"),
        pytest.param("resource", resource(Resource=None), "Missing required field Resource", id="resource: no resource"),
        pytest.param("resource", resource(Resource="b"), "Policy has invalid resource", id="resource: a bare name"),
        pytest.param("resource", resource(Action="GetObject"), "Policy has invalid action", id="resource: an action without service"),
        pytest.param("resource", resource(Principal=None), "Missing required field Principal", id="resource: no principal"),
        pytest.param("resource", resource(Principal="x"), "Invalid principal in policy", id="resource: a principal that is a word"),
    ],
)
def test_refused_documents(kind: Kind, text: str, words: str) -> None:
    with pytest.raises(AwsError) as refused:
        validate(text, kind)
    assert (refused.value.code, refused.value.message) == ("MalformedPolicyDocument", words)


@pytest.mark.parametrize(
    "kind, text",
    [
        pytest.param("identity", identity(), id="one statement that is not in a list"),
        pytest.param("identity", identity(Resource=[BUCKET, "*"]), id="a list of resources"),
        pytest.param("identity", identity(Action="*"), id="every action"),
        pytest.param("identity", identity(Action=None, NotAction="iam:*"), id="NotAction"),
        pytest.param("identity", identity(Resource="arn:aws:sqs"), id="a short ARN that is completed"),
        pytest.param("identity", identity(Resource="arn:aws:iam::123456789012:role/x"), id="a role"),
        pytest.param("identity", identity(Condition={"StringSame": {}}), id="an unknown operator without keys"),
        pytest.param("inline", identity().replace("2012", "2008"), id="inline: the old version"),
        pytest.param("inline", json.dumps({"Statement": json.loads(identity())["Statement"]}), id="inline: no version"),
        pytest.param("identity", identity(Condition={"Bool": {"aws:SecureTransport": False}}), id="a JSON boolean"),
        pytest.param("identity", identity(Condition={"NumericLessThan": {"s3:max-keys": 10}}), id="a JSON number"),
        pytest.param("identity", identity(Condition={"DateGreaterThan": {"aws:CurrentTime": "2017-07-01T00:00:00Z"}}), id="a date"),
        pytest.param("identity", identity(Condition={"ForAllValues:StringLikeIfExists": {"aws:TagKeys": ["a*"]}}), id="a long operator"),
        pytest.param("trust", trust(), id="a service principal"),
        pytest.param("trust", trust(Principal={"AWS": ["123456789012", "arn:aws:iam::123456789012:root"]}), id="accounts"),
        pytest.param("trust", trust(Principal={"AWS": "*"}), id="everyone"),
        pytest.param("trust", trust(Action=["sts:AssumeRole", "sts:TagSession"]), id="two sts actions"),
        pytest.param("resource", resource(), id="a bucket policy for everyone"),
        pytest.param(
            "resource", resource(Effect="Deny", Principal=None, NotPrincipal={"AWS": "123456789012"}), id="a deny for all but one"
        ),
    ],
)
def test_accepted_documents(kind: Kind, text: str) -> None:
    assert compile_policy(validate(text, kind), "p", "identity-based policy").statements


def test_a_service_names_its_own_error_code() -> None:
    with pytest.raises(AwsError) as refused:
        validate("x", "resource", code="MalformedPolicy")
    assert refused.value.code == "MalformedPolicy"


def test_two_statements_must_not_share_a_sid() -> None:
    statement = json.loads(identity(Sid="a"))["Statement"]
    with pytest.raises(AwsError, match=r"Statement IDs \(SID\) in a single policy must be unique"):
        validate(json.dumps({"Version": "2012-10-17", "Statement": [statement, statement]}), "identity")


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text("a*:", max_size=5)
    | st.sampled_from(["Allow", "s3:*", BUCKET, "*", "StringEquals"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["AWS", "StringLike", "Bool", "a"]), inner, max_size=3),
    max_leaves=6,
)
_STATEMENT = st.dictionaries(
    st.sampled_from(["Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition"]), _JSON
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
@given(
    st.sampled_from(["identity", "trust", "resource"]), st.dictionaries(st.sampled_from(["Version", "Id", "Statement"]), _JSON), _STATEMENT
)
def test_any_json_is_refused_by_an_aws_error_or_can_be_compiled(kind: Kind, document: dict[str, Any], statement: dict[str, Any]) -> None:
    for body in (document, {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:A", **statement}}):
        try:
            accepted = validate(json.dumps(body), kind)
        except AwsError as refused:
            assert refused.code in ("MalformedPolicyDocument", "NotImplemented")
        else:
            assert compile_policy(accepted, "p", "identity-based policy").statements
