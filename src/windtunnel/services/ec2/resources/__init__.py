"""CloudFormation's types of EC2, by noun."""

from windtunnel.services.ec2.resources import addresses as addresses
from windtunnel.services.ec2.resources import instance as instance
from windtunnel.services.ec2.resources import launching as launching
from windtunnel.services.ec2.resources import reaching as reaching
from windtunnel.services.ec2.resources import routing as routing
from windtunnel.services.ec2.resources import security as security
from windtunnel.services.ec2.resources import vpc as vpc
