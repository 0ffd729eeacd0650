"""EventBridge's CloudFormation types, by noun."""

from windtunnel.services.events.resources import apis as apis
from windtunnel.services.events.resources import archives as archives
from windtunnel.services.events.resources import buses as buses
from windtunnel.services.events.resources import rules as rules
