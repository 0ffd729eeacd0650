"""Models are read from botocore's files and decoded only as far as they are looked at."""

import gc
import subprocess
import sys
import weakref

import pytest

from windtunnel.wire import models


def test_an_operation_says_where_it_lives_and_what_streams() -> None:
    put = models.load_service("s3").operation("PutObject")
    assert (put.http_method, put.http_uri, put.streaming_input, put.streaming_output) == ("PUT", "/{Bucket}/{Key+}", "Body", None)
    get = models.load_service("s3").operation("GetObject")
    assert (get.streaming_input, get.streaming_output) == (None, "Body")


def test_metadata_is_that_of_the_whole_model() -> None:
    for name in ("ssm", "ec2", "codedeploy", "cloudwatch", "ecr", "s3", "lambda"):
        assert models.load_metadata(name) == models.load_service(name).metadata


def test_every_service_has_readable_metadata() -> None:
    names = models.service_names()
    assert len(names) > 300
    assert all(models.load_metadata(name).endpoint_prefix for name in names)


def test_error_shapes_are_those_that_the_model_marks() -> None:
    errors = dict(models.load_service("codecommit").error_shapes())
    assert "RepositoryDoesNotExistException" in errors
    assert "RepositoryMetadata" not in errors


def test_documentation_comes_without_markup() -> None:
    text = models.load_service("codecommit").documentation("RepositoryNameRequiredException")
    assert text == "A repository name is required, but was not specified."


@pytest.mark.parametrize("name", ["no-such-service", "../ssm", ".."])
def test_an_unknown_service_is_refused(name: str) -> None:
    with pytest.raises(models.UnknownService):
        models.load_service(name)


def test_a_model_is_gone_when_nobody_holds_it() -> None:
    held = models.load_service("sdb")
    watch = weakref.ref(held)
    assert models.load_service("sdb") is held
    del held
    gc.collect()
    assert watch() is None


def test_botocore_is_not_imported() -> None:
    program = "import sys, windtunnel.wire.models as m; m.load_service('sts').operation('AssumeRole'); print('botocore' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert out.stdout.strip() == "False"
