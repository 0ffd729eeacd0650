"""CloudFormation's types of SNS."""

from windtunnel.services.sns.resources import policies as policies
from windtunnel.services.sns.resources import subscriptions as subscriptions
from windtunnel.services.sns.resources import topics as topics
