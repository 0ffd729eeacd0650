"""EventBridge's operations (API reference, 2015-10-07), by noun."""

from windtunnel.services.events.operations import archives as archives
from windtunnel.services.events.operations import buses as buses
from windtunnel.services.events.operations import connections as connections
from windtunnel.services.events.operations import destinations as destinations
from windtunnel.services.events.operations import entries as entries
from windtunnel.services.events.operations import permissions as permissions
from windtunnel.services.events.operations import replays as replays
from windtunnel.services.events.operations import rules as rules
from windtunnel.services.events.operations import tags as tags
from windtunnel.services.events.operations import targets as targets
