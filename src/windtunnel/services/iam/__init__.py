"""Identity and Access Management."""

from windtunnel.services.iam import accounts as accounts
from windtunnel.services.iam import explaining as explaining
from windtunnel.services.iam import operations as operations
