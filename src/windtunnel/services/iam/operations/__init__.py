"""IAM's operations (API reference, 2010-05-08), by noun. Importing them registers them."""

from windtunnel.kernel.registry import ServiceRules, service_rules
from windtunnel.services.iam.operations import access_keys as access_keys
from windtunnel.services.iam.operations import account as account
from windtunnel.services.iam.operations import attached as attached
from windtunnel.services.iam.operations import boundaries as boundaries
from windtunnel.services.iam.operations import certificates as certificates
from windtunnel.services.iam.operations import groups as groups
from windtunnel.services.iam.operations import inline as inline
from windtunnel.services.iam.operations import instance_profiles as instance_profiles
from windtunnel.services.iam.operations import mfa as mfa
from windtunnel.services.iam.operations import oidc as oidc
from windtunnel.services.iam.operations import passwords as passwords
from windtunnel.services.iam.operations import policies as policies
from windtunnel.services.iam.operations import reports as reports
from windtunnel.services.iam.operations import roles as roles
from windtunnel.services.iam.operations import saml as saml
from windtunnel.services.iam.operations import service_credentials as service_credentials
from windtunnel.services.iam.operations import service_linked as service_linked
from windtunnel.services.iam.operations import simulating as simulating
from windtunnel.services.iam.operations import tags as tags
from windtunnel.services.iam.operations import users as users

service_rules("iam", ServiceRules(validation_code="ValidationError", access_denied_code="AccessDenied"))
