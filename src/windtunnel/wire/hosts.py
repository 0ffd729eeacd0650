"""What the Host of a request says: S3's virtual-hosted addresses carry the bucket's name.

Only asked about requests that go to S3. Invariant: an IP literal, and localhost itself, carry no bucket.
"""

from __future__ import annotations

import re
from functools import lru_cache

_S3_HOST = re.compile(
    r"(?:(?P<bucket>.+)\.)?s3(?:[.-](?:dualstack\.|fips\.)?[a-z]{2}(?:-[a-z]+)+-\d+|-accelerate|-external-1|\.dualstack\.[a-z0-9-]+)?"
    r"\.(?:amazonaws\.com(?:\.cn)?|localhost(?:\.[a-z.]+)?|[a-z0-9-]+\.test|127\.0\.0\.1\.nip\.io)\Z"
)
_LOCAL_BUCKET = re.compile(r"(?P<bucket>.+)\.localhost\Z")
"""What clients make of the endpoint `http://localhost:4566`."""


_LONGEST_NAME = 255


def bucket_of_host(host: str) -> str | None:
    """The bucket of a virtual-hosted S3 address (`my.bucket.s3.eu-west-1.amazonaws.com:443`), else None."""
    return _bucket(host) if len(host) <= _LONGEST_NAME else None


@lru_cache(maxsize=1024)
def _bucket(host: str) -> str | None:
    name = host.partition(":")[0].lower()
    found = _S3_HOST.match(name) or _LOCAL_BUCKET.match(name)
    return found["bucket"] if found else None
