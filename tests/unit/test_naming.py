"""The Python names of AWS names are boto3's, for every name that any model uses."""

import gzip
import json

import pytest
from botocore import xform_name

from windtunnel.wire.models import botocore_data
from windtunnel.wire.naming import lower_first, xform

SAMPLE = [
    "ssm",
    "sts",
    "iam",
    "ec2",
    "s3",
    "codebuild",
    "codecommit",
    "codepipeline",
    "codedeploy",
    "logs",
    "events",
    "storagegateway",
    "dynamodb",
]


@pytest.mark.parametrize("service", SAMPLE)
def test_names_are_botocores(service: str) -> None:
    for file in (botocore_data() / service).glob("*/service-2.json.gz"):
        model = json.loads(gzip.decompress(file.read_bytes()))
        names = set(model["operations"]).union(*(shape.get("members", {}) for shape in model["shapes"].values()))
        assert {name: xform(name) for name in names} == {name: xform_name(name) for name in names}


@pytest.mark.parametrize(
    "name, expected",
    [
        pytest.param("StackName", "stack_name", id="words"),
        pytest.param("DBInstanceIdentifier", "db_instance_identifier", id="an acronym first"),
        pytest.param("ListWebACLs", "list_web_acls", id="a plural acronym last"),
        pytest.param("GetLinkedWhatsAppBusinessAccountPhoneNumber", "get_linked_whatsapp_business_account_phone_number", id="a brand"),
        pytest.param("already_there", "already_there", id="underscores are left alone"),
    ],
)
def test_xform(name: str, expected: str) -> None:
    assert xform(name) == expected == xform_name(name)


def test_messages_lower_only_the_first_letter() -> None:
    assert lower_first("DBName") == "dBName"
