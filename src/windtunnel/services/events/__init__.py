"""EventBridge: rules over what happens, and their targets."""

from windtunnel.kernel.registry import ServiceRules, service_rules
from windtunnel.services.events import calling as calling
from windtunnel.services.events import delivery as delivery
from windtunnel.services.events import operations as operations
from windtunnel.services.events import replaying as replaying
from windtunnel.services.events import scheduling as scheduling

service_rules("events", ServiceRules())
