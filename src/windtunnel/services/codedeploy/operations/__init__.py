"""CodeDeploy's operations, a file for each noun; importing this registers them."""

from windtunnel.services.codedeploy.operations import applications as applications
from windtunnel.services.codedeploy.operations import commands as commands
from windtunnel.services.codedeploy.operations import configs as configs
from windtunnel.services.codedeploy.operations import deployments as deployments
from windtunnel.services.codedeploy.operations import groups as groups
from windtunnel.services.codedeploy.operations import revisions as revisions
from windtunnel.services.codedeploy.operations import tags as tags
from windtunnel.services.codedeploy.operations import targets as targets
