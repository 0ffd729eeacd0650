"""CloudWatch Logs' CloudFormation types, by noun."""

from windtunnel.services.logs.resources import filters as filters
from windtunnel.services.logs.resources import groups as groups
from windtunnel.services.logs.resources import texts as texts
