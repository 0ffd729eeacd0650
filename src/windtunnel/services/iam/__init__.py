"""Identity and Access Management."""

from windtunnel.services.iam import operations as operations
