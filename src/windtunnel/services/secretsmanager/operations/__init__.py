"""Secrets Manager's operations, by noun (Secrets Manager API reference, 2017-10-17)."""

from windtunnel.services.secretsmanager.operations import deletion as deletion
from windtunnel.services.secretsmanager.operations import listing as listing
from windtunnel.services.secretsmanager.operations import passwords as passwords
from windtunnel.services.secretsmanager.operations import policies as policies
from windtunnel.services.secretsmanager.operations import reading as reading
from windtunnel.services.secretsmanager.operations import replication as replication
from windtunnel.services.secretsmanager.operations import rotation as rotation
from windtunnel.services.secretsmanager.operations import stages as stages
from windtunnel.services.secretsmanager.operations import tags as tags
from windtunnel.services.secretsmanager.operations import writing as writing
