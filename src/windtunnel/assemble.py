"""Puts the parts of a running server together: compute, gateways, wire and listeners around the cloud."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec

from windtunnel.app import LazyPart, WindtunnelCloud
from windtunnel.commands.running import Credentials, credentials, write_private
from windtunnel.kernel.context import Context
from windtunnel.services.iam.model import RootKey
from windtunnel.wire.asgi import HttpEdge
from windtunnel.wire.core import Core

if TYPE_CHECKING:
    from windtunnel.server import Listeners

log = logging.getLogger("windtunnel")


def root_key(cloud: WindtunnelCloud) -> Callable[[Any], None]:
    """A write that makes the root access key of the cloud's account, once; `credentials.json` is written before it is durable."""
    known = credentials(cloud.settings.data)
    if known is None or known.account != cloud.settings.account:
        known = Credentials("AKIA" + cloud.ids.upper(16), cloud.ids.secret(40), cloud.settings.account)
        write_private(cloud.settings.data / "credentials.json", msgspec.json.encode(known))
    keys = known

    def write(tx: Any) -> None:
        ctx: Context = cloud.context(tx, cloud.settings.account, cloud.settings.region)
        if ctx.tx.get(RootKey, keys.access_key_id) is None:
            ctx.tx.put(RootKey(access_key=keys.access_key_id, secret=keys.secret_access_key, account=keys.account))

    return write


def add_compute(cloud: WindtunnelCloud, listeners: Listeners) -> None:
    """The driver and its images, made when the first sandbox is; at once when some may run already."""

    def images() -> Any:
        from windtunnel.compute.image import Images

        return Images(progress=lambda line: print(f"image: {line}", file=sys.stderr, flush=True))

    def driver() -> Any:
        from windtunnel.compute.runc import RuncDriver

        settings = cloud.settings
        made = RuncDriver(settings.data / "sandboxes", cloud.part("images"), listeners.serve_sandbox, settings.port, settings.tls_port)
        if made.available() is None:
            made.recover()
        return made

    cloud.add_part("images", LazyPart(images))
    cloud.add_part("compute", LazyPart(driver))


async def assemble(cloud: WindtunnelCloud, backend: Any) -> Listeners:
    """Everything but the host's sockets. Runs before anything is answered."""
    from windtunnel.gateways import control, git_http, metadata, s3_browser, sns_certificates, stack_answers
    from windtunnel.server import Listeners
    from windtunnel.services.cloudformation.answering import Answers
    from windtunnel.services.ec2.answering import InstanceMetadata
    from windtunnel.services.s3.answering import BrowserAnswers
    from windtunnel.services.sns import signing

    await cloud.writer.submit(root_key(cloud))
    browser = s3_browser.BrowserGateway(cloud, backend, BrowserAnswers())
    gateways: list[Any] = [
        (metadata.matches, metadata.MetadataGateway(backend, InstanceMetadata(cloud, backend))),
        (control.matches, control.ControlGateway(cloud, backend)),
        (git_http.matches, git_http.GitGateway(cloud, backend, cloud.settings.region)),
        (sns_certificates.matches, sns_certificates.SnsCertificates(backend, signing.certificate)),
        (stack_answers.matches, stack_answers.StackAnswers(Answers(cloud))),
        (s3_browser.matches, browser),
    ]
    browser.edge = HttpEdge(Core(backend), gateways, cloud.settings.hosts)
    listeners = Listeners(cloud.loop, browser.edge, cloud.settings.data, cloud.settings.hosts)
    add_compute(cloud, listeners)
    if (cloud.settings.data / "sandboxes").exists():
        await cloud.loop.run_in_executor(None, cloud.part, "compute")
    await cloud.loop.run_in_executor(None, cloud.start_up)
    await listeners.answer_sandboxes()
    return listeners


def stop_sandboxes(cloud: WindtunnelCloud) -> None:
    """At a clean end nothing of ours goes on running. Instances keep their disks and are booted again by the next start."""
    driver = cloud.made_part("compute")
    if driver is None:
        return
    cloud.engine.close()
    driver.end_starts()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda handle: driver.stop(handle, 10.0), driver.running()))
    driver.close(remove_network=True)
