"""EC2's networking: one module a noun, its records in `model.py` and `surroundings.py`."""

from windtunnel.services.ec2.network import groups as groups
from windtunnel.services.ec2.network import rules as rules
from windtunnel.services.ec2.network import subnets as subnets
from windtunnel.services.ec2.network import vpcs as vpcs
