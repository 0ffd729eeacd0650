"""EC2's networking: one module a noun, its records in `model.py` and `surroundings.py`."""

from windtunnel.services.ec2.network import acls as acls
from windtunnel.services.ec2.network import detaching as detaching
from windtunnel.services.ec2.network import dhcp as dhcp
from windtunnel.services.ec2.network import egress as egress
from windtunnel.services.ec2.network import elastic as elastic
from windtunnel.services.ec2.network import endpoints as endpoints
from windtunnel.services.ec2.network import groups as groups
from windtunnel.services.ec2.network import nat as nat
from windtunnel.services.ec2.network import nics as nics
from windtunnel.services.ec2.network import peering as peering
from windtunnel.services.ec2.network import prefixes as prefixes
from windtunnel.services.ec2.network import rules as rules
from windtunnel.services.ec2.network import subnets as subnets
from windtunnel.services.ec2.network import tables as tables
from windtunnel.services.ec2.network import vpcs as vpcs
