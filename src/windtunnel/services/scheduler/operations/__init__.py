"""The Scheduler's operations (API reference, 2021-06-30), by noun."""

from windtunnel.services.scheduler.operations import groups as groups
from windtunnel.services.scheduler.operations import schedules as schedules
from windtunnel.services.scheduler.operations import tags as tags
