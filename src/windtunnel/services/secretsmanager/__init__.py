"""Secrets Manager: secrets whose values stand encrypted under KMS keys, in versions that labels move along."""

from windtunnel.services.secretsmanager import jobs as jobs
from windtunnel.services.secretsmanager import operations as operations
