"""The options that the helper scripts share, and their values.

The invariant it keeps: a command line that a script does not understand ends it with a usage message, before anything is done.
"""

from __future__ import annotations

import argparse
import os

from windtunnel.guest.cfn.stacks import Access


def parser(name: str, about: str, stack: bool = True) -> argparse.ArgumentParser:
    """With the options of who calls whom; stack: with those that name the resource too."""
    made = argparse.ArgumentParser(prog=name, description=about)
    if stack:
        made.add_argument("-s", "--stack", default="", help="name or id of the stack")
        made.add_argument("-r", "--resource", default="", help="logical id of the resource")
    made.add_argument("--region", default="", help="the region of the stack")
    made.add_argument("-u", "--url", default="", help="the endpoint of CloudFormation")
    made.add_argument("--access-key", default="")
    made.add_argument("--secret-key", default="")
    made.add_argument("-f", "--credential-file", default="", help="a file with AWSAccessKeyId= and AWSSecretKey=")
    made.add_argument("--role", default="", help="the role of the instance profile to call as")
    made.add_argument("--http-proxy", default="")
    made.add_argument("--https-proxy", default="")
    return made


def access(given: argparse.Namespace) -> Access:
    """Also tells everything that downloads from elsewhere of the proxies."""
    for name, value in (("http_proxy", given.http_proxy), ("https_proxy", given.https_proxy)):
        if value:
            os.environ[name] = value
    return Access(given.region, given.url, given.access_key, given.secret_key, given.credential_file, given.role)


def truth(value: object) -> bool:
    """CloudFormation's booleans: `true`, "true", "True", "1", "yes"."""
    return str(value).strip().lower() in ("true", "1", "yes", "on")
