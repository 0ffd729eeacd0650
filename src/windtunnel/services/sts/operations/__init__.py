"""The Security Token Service's operations (API reference, 2011-06-15), by what they start from. Importing them registers them."""

from windtunnel.kernel.registry import ServiceRules, service_rules
from windtunnel.services.sts.operations import messages as messages
from windtunnel.services.sts.operations import roles as roles
from windtunnel.services.sts.operations import saml_identity as saml_identity
from windtunnel.services.sts.operations import tokens as tokens
from windtunnel.services.sts.operations import web_identity as web_identity

service_rules(
    "sts",
    ServiceRules(
        validation_code="ValidationError",
        access_denied_code="AccessDenied",
        unsigned=frozenset({"AssumeRoleWithWebIdentity", "AssumeRoleWithSAML"}),
    ),
)
