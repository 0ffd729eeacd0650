"""SNS's operations, by noun (API reference, 2010-03-31)."""

from windtunnel.services.sns.operations import confirming as confirming
from windtunnel.services.sns.operations import listing as listing
from windtunnel.services.sns.operations import permissions as permissions
from windtunnel.services.sns.operations import publishing as publishing
from windtunnel.services.sns.operations import subscribing as subscribing
from windtunnel.services.sns.operations import tags as tags
from windtunnel.services.sns.operations import topics as topics
