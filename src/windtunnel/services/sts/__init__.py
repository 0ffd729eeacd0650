"""Security Token Service."""

from windtunnel.services.sts import operations as operations
