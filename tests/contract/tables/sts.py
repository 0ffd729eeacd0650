"""What the generated contract tests need to know of `sts`."""

from __future__ import annotations

FOR_EVERYONE: dict[str, str] = {
    "GetCallerIdentity": "AWS lets every caller ask who they are, whatever their policies say.",
    "AssumeRole": "The handler asks the role's trust policy and the caller's policies together; tests/wire/test_iam.py holds it.",
    "AssumeRoleWithWebIdentity": "Who asks has no policies: the role's trust policy is all that counts; tests/wire/test_sts_sessions.py holds it.",
    "AssumeRoleWithSAML": "As with web identity; tests/wire/test_sts_saml.py holds it.",
    "GetSessionToken": "AWS asks for no permission: a session has its user's.",
}
ERRORS = {
    "InvalidClientTokenId",
    "InvalidInput",
    "InvalidAuthorizationMessageException",
    "ExpiredTokenException",
}
