"""CodeCommit: repositories whose refs live in the store and whose objects are git's own."""

from windtunnel.services.codecommit import content as content
from windtunnel.services.codecommit import operations as operations
from windtunnel.services.codecommit import trigger_operations as trigger_operations
