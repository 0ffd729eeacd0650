"""Cloud Control's operations (API reference, 2021-09-30), by noun."""

from windtunnel.services.cloudcontrol.operations import requests as requests
from windtunnel.services.cloudcontrol.operations import resources as resources
