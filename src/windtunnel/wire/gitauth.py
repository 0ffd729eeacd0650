"""git's Basic authentication: the passwords that the CLI's credential helper and git-remote-codecommit make are signatures of version 4.

Invariant: constant-time comparison, a key looked up anew for each request, and the same fifteen minutes as everywhere.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from calendar import timegm
from datetime import datetime
from hashlib import sha256

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Credential
from windtunnel.wire.canonical import ALGORITHM, signing_key
from windtunnel.wire.sigv4 import SKEW, Lookup, check_session

_STAMP = re.compile(r"\d{8}T\d{6}\Z")
_GIT_HOST = re.compile(r"(?:vpce-[^.]+\.)?git-codecommit(?:-fips)?\.([a-z0-9-]+)\.")


def verify_git(username: str, password: str, host: str, path: str, region: str, lookup: Lookup, now: float) -> Credential:
    """The credential behind git's Basic authentication by the credential helper or git-remote-codecommit.

    username: `AKID` or `AKID%TOKEN`; password: `<yyyymmddThhmmss>Z<signature>`; region: for hosts that are not
    git-codecommit.REGION.…. The CLI signs the host without its port, git-remote-codecommit with it. Raises AwsError (403).
    """
    key_id, _, token = username.partition("%")
    stamp, _, given = password.partition("Z")
    credential = lookup(key_id)
    if credential is None or not _STAMP.match(stamp):
        raise _git_refused()
    try:
        at = float(timegm(datetime.strptime(stamp, "%Y%m%dT%H%M%S").utctimetuple()))
    except ValueError:
        raise _git_refused() from None
    match = _GIT_HOST.match(host)
    names = {host, host.partition(":")[0]}
    wanted = [git_signature(credential.secret, stamp, match[1] if match else region, name, path).encode() for name in names]
    proven = [hmac.compare_digest(one, given.encode("utf-8", "replace")) for one in wanted]
    if abs(now - at) > SKEW or not any(proven):
        raise _git_refused()
    check_session(credential, token, now, "query")
    return credential


def _git_refused() -> AwsError:
    return AwsError("AccessDeniedException", "The signature of the git credentials is not valid.", status=403)


def git_signature(secret: str, stamp: str, region: str, host: str, path: str) -> str:
    """The signature in a git password: a canonical request of its own, without a payload hash. stamp: no closing Z."""
    request = f"GIT\n{path}\n\nhost:{host}\n\nhost\n"
    text = f"{ALGORITHM}\n{stamp}\n{stamp[:8]}/{region}/codecommit/aws4_request\n{sha256(request.encode()).hexdigest()}"
    return hmac.digest(signing_key(secret, stamp[:8], region, "codecommit"), text.encode(), "sha256").hex()


def basic_credentials(authorization: str) -> tuple[str, str] | None:
    """(user, password) of a Basic Authorization header, percent-decoded user; None when it is none."""
    scheme, _, coded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, mark, password = base64.b64decode(coded.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if mark else None
