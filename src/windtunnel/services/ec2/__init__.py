"""EC2: instances that run as sandboxes, in the default VPC of each account and region."""

from windtunnel.services.ec2 import changing as changing
from windtunnel.services.ec2 import describing as describing
from windtunnel.services.ec2 import jobs as jobs
from windtunnel.services.ec2 import keypairs as keypairs
from windtunnel.services.ec2 import launching as launching
from windtunnel.services.ec2 import looking as looking
from windtunnel.services.ec2 import network as network
from windtunnel.services.ec2 import power as power
from windtunnel.services.ec2 import profiles as profiles
from windtunnel.services.ec2 import reshaping as reshaping
from windtunnel.services.ec2 import tags as tags
from windtunnel.services.ec2 import templates as templates
from windtunnel.services.ec2 import volumes as volumes
