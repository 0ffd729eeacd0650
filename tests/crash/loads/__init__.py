"""What many clients do while the cloud is killed again and again: one file a service, found by discovery.

A file has `class Load(loads.Load)`:
- NEEDS: operations without which it cannot run; a load whose operations are not built yet is left out, and the test says so.
- `set_up(self)`: run once, undisturbed.
- `step(self, n)`: the n-th act of this load's client, in a thread of its own. Any call may find the cloud dead: then what was asked for
  may have happened or not. `Register` keeps count of that.
- `verify(self)`: after each restart, bounded: what was acknowledged is there, nothing half done is to be seen, what was deleted is gone.
- `finish(self)`: once at the end, everything.
Both raise AssertionError with what is wrong. A load writes under names of its own and keeps the number of its things bounded.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import random
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from doomed import UNREACHED

from windtunnel.labs.cloud import LabCloud

T = TypeVar("T")
ABSENT = None
ACCOUNT = "000000000000"


class Died(Exception):
    """The cloud was killed, or is not there: what was asked for may have happened or not."""


def ask(call: Callable[..., T], **arguments: Any) -> T:
    """The answer, which says that it happened; Died when nobody can know. An error of AWS's is raised as it is."""
    try:
        return call(**arguments)
    except UNREACHED as error:
        raise Died(str(error)) from None
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 503:
            raise Died(str(error)) from None
        raise


def code(error: ClientError) -> str:
    found: str = error.response["Error"]["Code"]
    return found


class Register:
    """What each key's value can be, from what was acknowledged and what was only tried."""

    def __init__(self) -> None:
        self._possible: dict[Hashable, set[Any]] = {}

    def __iter__(self) -> Iterator[Hashable]:
        """Every key that anything was asked of."""
        return iter(list(self._possible))

    def possible(self, key: Hashable) -> set[Any]:
        return self._possible.get(key, {ABSENT})

    def change(self, key: Hashable, value: Any, call: Callable[..., T], **arguments: Any) -> T:
        """Ask for a key's value to become another one (ABSENT: to be deleted)."""
        self._possible[key] = self.possible(key) | {value}
        answer = ask(call, **arguments)
        self._possible[key] = {value}
        return answer

    def seen(self, key: Hashable, value: Any) -> None:
        """A value was read: it must be one that there can be, and from now on it is the one."""
        assert value in self.possible(key), f"{key} is {value!r}, and can only be {self.possible(key)!r}"
        self._possible[key] = {value}


class Load:
    NEEDS: ClassVar[set[tuple[str, str]]] = set()
    KEYS: ClassVar[int] = 24
    LOOKS: ClassVar[int] = 6
    """How many things are looked at after each kill."""

    def __init__(self, cloud: LabCloud, work: Path) -> None:
        self.cloud = cloud
        self.work = work
        self.draw = random.Random(type(self).__module__)
        self.environment = cloud.environment()
        """The same over all restarts."""

    def client(self, service: str, **keys: str) -> Any:
        found = self.environment
        return boto3.client(
            service,
            endpoint_url=found["AWS_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id=keys.get("key", found["AWS_ACCESS_KEY_ID"]),
            aws_secret_access_key=keys.get("secret", found["AWS_SECRET_ACCESS_KEY"]),
            aws_session_token=keys.get("token"),
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30, s3={"addressing_style": "path"}),
        )

    def set_up(self) -> None: ...

    def step(self, n: int) -> None:
        raise NotImplementedError

    def verify(self) -> None: ...

    def finish(self) -> None:
        self.verify()

    def some(self, things: list[T]) -> list[T]:
        """A few of them, the newest among them."""
        return things if len(things) <= self.LOOKS else [*self.draw.sample(things[:-1], self.LOOKS - 1), things[-1]]


def policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def found() -> dict[str, type[Load]]:
    """Every load, by service."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"loads.{name}").Load for name in names}
