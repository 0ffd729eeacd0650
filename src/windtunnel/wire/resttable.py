"""The REST operations of one service by method, path template, query and headers.

Invariant: of all operations that could match, the most specific one is taken (longest literal path, then most query parameters,
then most telling headers), so that `GET /bucket?versioning` is never ListObjects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from operator import itemgetter
from typing import NamedTuple
from urllib.parse import unquote

from windtunnel.wire.models import OperationModel, ServiceModel

_LABEL = re.compile(r"\{([^}+]+)(\+?)\}")
# Operations of S3 that share method and path and are told apart by a parameter or a header that they require.
_S3_TELLING = {
    "CopyObject": ((), ("x-amz-copy-source",)),
    "UploadPartCopy": (("partNumber", "uploadId"), ("x-amz-copy-source",)),
    "UploadPart": (("partNumber", "uploadId"), ()),
    "AbortMultipartUpload": (("uploadId",), ()),
    "CompleteMultipartUpload": (("uploadId",), ()),
    "ListParts": (("uploadId",), ()),
    "GetBucketAnalyticsConfiguration": (("id",), ()),
    "GetBucketIntelligentTieringConfiguration": (("id",), ()),
    "GetBucketInventoryConfiguration": (("id",), ()),
    "GetBucketMetricsConfiguration": (("id",), ()),
}
# Deprecated twins with the same address as their successors, and operations of other endpoints (directory buckets, Object Lambda).
_S3_ELSEWHERE = frozenset(
    (
        "GetBucketLifecycle",
        "GetBucketNotification",
        "PutBucketLifecycle",
        "PutBucketNotification",
        "ListDirectoryBuckets",
        "WriteGetObjectResponse",
    )
)


class _Entry(NamedTuple):
    operation: str
    pattern: re.Pattern[str]
    labels: tuple[str, ...]
    query: tuple[tuple[str, str | None], ...]
    headers: tuple[str, ...]


class RestTable:
    """Matches requests; holds no model."""

    def __init__(self, service: ServiceModel) -> None:
        entries: dict[str, list[tuple[tuple[int, int, int, int], _Entry]]] = {}
        s3 = service.name == "s3"
        for operation in service.operations():
            if not (s3 and operation.name in _S3_ELSEWHERE):
                entries.setdefault(operation.http_method, []).append(_entry(operation, s3))
        self._entries = {
            method: [entry for _, entry in sorted(found, key=itemgetter(0), reverse=True)] for method, found in entries.items()
        }
        self._plain = {method: [entry for entry in found if not entry.query] for method, found in self._entries.items()}

    def match(
        self, method: str, raw_path: str, query: list[tuple[str, str]], headers: Mapping[str, str]
    ) -> tuple[str, dict[str, str]] | None:
        """(operation, path parameters), or None."""
        given = dict(query)
        for entry in (self._entries if given else self._plain).get(method, ()):
            found = entry.pattern.match(raw_path)
            if found is None:
                continue
            if any(name not in given or (value is not None and given[name] != value) for name, value in entry.query):
                continue
            if any(name not in headers and name not in given for name in entry.headers):
                continue
            return entry.operation, {
                label: unquote(text) if "%" in text else text for label, text in zip(entry.labels, found.groups(), strict=True)
            }
        return None


def _entry(operation: OperationModel, s3: bool) -> tuple[tuple[int, int, int, int], _Entry]:
    path, _, fixed = operation.http_uri.partition("?")
    query: list[tuple[str, str | None]] = []
    for pair in filter(None, fixed.split("&")):
        name, mark, value = pair.partition("=")
        query.append((name, value if mark else None))
    headers: tuple[str, ...] = ()
    if s3 and operation.name in _S3_TELLING:
        names, headers = _S3_TELLING[operation.name]
        query += [(name, None) for name in names]
    labels = tuple(match[1] for match in _LABEL.finditer(path))
    literals = len(_LABEL.sub("", path))
    entry = _Entry(operation.name, re.compile(_pattern(path)), labels, tuple(query), headers)
    return (path.count("/"), literals, len(query), len(headers)), entry


def _pattern(path: str) -> str:
    out, at = [], 0
    for match in _LABEL.finditer(path):
        out.append(re.escape(path[at : match.start()]))
        out.append("(.+)" if match[2] else "([^/]+)")
        at = match.end()
    out.append(re.escape(path[at:]))
    return "(?s:" + "".join(out) + ")" + ("/?" if not path.endswith("/") and not path.endswith("+}") else "") + r"\Z"
