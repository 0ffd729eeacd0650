"""CodeDeploy for instances (the Server platform, in place), and the command service that its agents poll."""

from windtunnel.services.codedeploy import jobs as jobs
from windtunnel.services.codedeploy import operations as operations
from windtunnel.services.codedeploy import rules as rules
