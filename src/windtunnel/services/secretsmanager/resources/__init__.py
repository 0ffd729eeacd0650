"""CloudFormation's types of Secrets Manager."""

from windtunnel.services.secretsmanager.resources import policies as policies
from windtunnel.services.secretsmanager.resources import rotation as rotation
from windtunnel.services.secretsmanager.resources import secret as secret
