"""What the browser's gateway asks of S3's configuration: CORS rules and websites. In the cloud's own name, for AWS asks nobody either."""

from __future__ import annotations

from typing import Any, NamedTuple

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Tx
from windtunnel.services.s3.buckets import Bucket, no_such_bucket
from windtunnel.services.s3.cors import answer_headers, matching
from windtunnel.services.s3.settings import setting
from windtunnel.services.s3.website import redirected, routed


class Site(NamedTuple):
    """A bucket's website. account, region: the bucket's."""

    account: str
    region: str
    body: dict[str, Any]

    @property
    def suffix(self) -> str:
        return str(self.body.get("IndexDocument", {}).get("Suffix", ""))

    @property
    def error_key(self) -> str:
        return str(self.body.get("ErrorDocument", {}).get("Key", ""))


class BrowserAnswers:
    """Reads the configuration; decides nothing about permissions."""

    def cors(self, tx: Tx, bucket: str, origin: str, method: str, asked: list[str] | None = None) -> list[tuple[str, str]] | None:
        """The headers of an answer to that origin, None when no rule allows it. asked: the headers that a preflight asks for."""
        body = setting(tx, bucket, "cors")
        rule = matching(body["CORSRules"], origin, method, asked or ()) if body is not None else None
        return None if rule is None else answer_headers(rule, origin, asked or (), preflight=asked is not None)

    def configured(self, tx: Tx, bucket: str) -> bool:
        """Whether a bucket has CORS rules; NoSuchBucket when there is none of that name."""
        if tx.get(Bucket, bucket) is None:
            raise no_such_bucket(bucket)
        return setting(tx, bucket, "cors") is not None

    def site(self, tx: Tx, bucket: str) -> Site:
        found = tx.get(Bucket, bucket)
        if found is None:
            raise no_such_bucket(bucket)
        body = setting(tx, bucket, "website")
        if body is None:
            raise AwsError(
                "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration", extra={"BucketName": bucket}
            )
        return Site(found.account, found.region, body)

    def redirect(self, site: Site, key: str, status: int | None, host: str) -> tuple[int, str] | None:
        """(status, location) when a rule of the site sends the browser elsewhere. host: the site's own, for rules that name none."""
        everything = site.body.get("RedirectAllRequestsTo")
        if everything is not None:
            return 301, f"{everything.get('Protocol', 'http')}://{everything['HostName']}/{key}"
        rule = routed(site.body.get("RoutingRules") or [], key, status)
        if rule is None:
            return None
        to = rule["Redirect"]
        return int(to.get("HttpRedirectCode", "301")), f"{to.get('Protocol', 'http')}://{to.get('HostName', host)}/{redirected(rule, key)}"
