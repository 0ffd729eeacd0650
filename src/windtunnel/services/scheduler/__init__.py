"""EventBridge Scheduler: any operation, at a time or again and again."""

from windtunnel.kernel.registry import ServiceRules, service_rules
from windtunnel.services.scheduler import firing as firing
from windtunnel.services.scheduler import invoking as invoking
from windtunnel.services.scheduler import operations as operations

service_rules("scheduler", ServiceRules())
