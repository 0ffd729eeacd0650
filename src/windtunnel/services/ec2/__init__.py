"""EC2: instances that run as sandboxes, in the default VPC of each account and region."""

from windtunnel.services.ec2 import describing as describing
from windtunnel.services.ec2 import instances as instances
from windtunnel.services.ec2 import jobs as jobs
from windtunnel.services.ec2 import tags as tags
