"""The life of an instance: booted, watched, stopped, removed.

Invariants: one run per boot (`i-…/N`) starts the sandbox and stays with it to its end, so nothing else starts or stops it; a sandbox
that ended while no cloud ran (down, host restart) is booted again with its files at the next start, unless someone had stopped it.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from windtunnel.compute.driver import Exited, GuestFile, Handle, Running, SandboxError, SandboxSpec
from windtunnel.jobs import Run, job
from windtunnel.kernel.cloud import Cloud
from windtunnel.kernel.context import Context
from windtunnel.kernel.registry import at_start
from windtunnel.kernel.trail import trail
from windtunnel.services.ec2.instances import move
from windtunnel.services.ec2.model import GIB, TYPES, Instance, private_dns

log = logging.getLogger("windtunnel.ec2")
GRACE = 20.0
INIT = ("/sbin/init",)


def spec(ctx: Context, instance: Instance, address: str | None) -> SandboxSpec:
    """The sandbox of an instance: memory and processors of its type, its disk kept, the endpoint where this machine has it."""
    cpus, memory = TYPES[instance.type]
    region = ctx.scope.region
    settings = {"AWS_ENDPOINT_URL": ctx.cloud.endpoint, "AWS_DEFAULT_REGION": region, "AWS_REGION": region}
    exports = "".join(f"export {name}={value}\n" for name, value in settings.items())
    plain = "".join(f"{name}={value}\n" for name, value in settings.items())
    return SandboxSpec(
        id=instance.id,
        image="stock",
        argv=INIT,
        env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **settings},
        hostname=private_dns(ctx.scope, address).split(".")[0] if address else instance.id,
        files=(
            GuestFile("/etc/environment", plain.encode()),
            GuestFile("/etc/profile.d/windtunnel.sh", exports.encode()),
        ),
        memory=int(memory * GIB),
        cpus=float(cpus),
        keep=True,
    )


@job("ec2.instance")
def run_instance(run: Run, instance_id: str, number: int) -> None:
    """One boot of an instance, from pending to its end."""
    cloud = run.cloud
    try:
        handle = run.effect("start", start, cloud, run, instance_id, returns=Handle)
    except SandboxError as error:
        run.tx("failed", record_failure, instance_id, str(error))
        return
    run.tx("running", record_running, instance_id, msgspec.to_builtins(handle))
    run.effect("watch", watch, cloud, run.scope.account, run.scope.region, instance_id, number, handle)
    order, exited = f"ec2.order:{instance_id}:{number}", f"ec2.exited:{instance_id}:{number}"
    found = run.wait_any([order, exited])
    what = found[1]["order"] if found and found[0] == order else run.tx("exit", meaning_of_exit, instance_id, found[1] if found else {})
    if what == "terminate":
        run.effect("remove", remove, cloud, instance_id)
        run.tx("terminated", record_end, instance_id, "terminated")
        return
    run.effect("stop", stop, cloud, handle)
    if what == "stop":
        run.tx("stopped", record_end, instance_id, "stopped")
    else:
        run.tx("again", boot_again, instance_id, number)


@job("ec2.remove")
def remove_stopped(run: Run, instance_id: str) -> None:
    """Terminate an instance that does not run."""
    run.effect("remove", remove, run.cloud, instance_id)
    run.tx("terminated", record_end, instance_id, "terminated")


def start(cloud: Cloud, run: Run, instance_id: str, token: str) -> Handle:
    driver = cloud.part("compute")
    cloud.part("images").ensure_stock(lambda line: log.info("%s", line))
    address = driver.reserve_address(instance_id)

    def read(ctx: Context) -> SandboxSpec:
        instance = ctx.tx.get(Instance, instance_id)
        if instance is None:
            raise SandboxError(f"instance {instance_id} is gone")
        return spec(ctx, instance, address)

    handle: Handle = driver.start(run.read(read), token)
    return handle


def watch(cloud: Cloud, account: str, region: str, instance_id: str, number: int, handle: Handle, token: str) -> None:
    """Have the boot's end told to its run. At a restart `watch_again` does it anew."""

    def ended(_: Handle, exited: Exited) -> None:
        if cloud.part("closing").is_set():
            return  # it ends with the cloud, and boots again with it
        part = cloud.part("store-writer")

        def tell(tx: Any) -> None:
            cloud.part("context")(tx, account, region).signal(f"ec2.exited:{instance_id}:{number}", {"code": exited.code, "restart": False})

        part.submit_threadsafe(tell)

    cloud.part("compute").watch(handle, ended)


def stop(cloud: Cloud, handle: Handle, token: str) -> None:
    cloud.part("compute").stop(handle, GRACE)


def remove(cloud: Cloud, instance_id: str, token: str) -> None:
    cloud.part("compute").remove(instance_id)


def the_instance(ctx: Context, instance_id: str) -> Instance:
    instance = ctx.tx.get(Instance, instance_id)
    if instance is None:
        raise LookupError(instance_id)
    return instance


def record_running(ctx: Context, instance_id: str, handle: dict[str, Any]) -> None:
    instance = the_instance(ctx, instance_id)
    instance.handle = handle
    instance.private_ip = handle.get("ip") or ""
    if instance.state == "pending":
        move(ctx, instance, "running")
        trail(ctx, [instance_id], f"instance {instance_id} runs at {instance.private_ip}")
    else:  # asked to stop while it booted, or booted again by a new cloud
        ctx.tx.put(instance)


def record_failure(ctx: Context, instance_id: str, reason: str) -> None:
    instance = the_instance(ctx, instance_id)
    instance.reason_code, instance.reason = "Server.InternalError", f"Server.InternalError: {reason}"
    instance.transition = f"Server.InternalError: {reason}"
    instance.ended = ctx.now
    move(ctx, instance, "terminated")
    trail(ctx, [instance_id], f"instance {instance_id} could not boot: {reason}", level="error")


def meaning_of_exit(ctx: Context, instance_id: str, exited: dict[str, Any]) -> str:
    """What an end that nobody ordered means: a boot that ended with the cloud or the machine is booted again."""
    instance = the_instance(ctx, instance_id)
    if exited.get("restart"):
        return "reboot"
    instance.reason_code, instance.reason = (
        "Client.InstanceInitiatedShutdown",
        "Client.InstanceInitiatedShutdown: Instance initiated shutdown",
    )
    instance.transition = "Instance initiated shutdown"
    ctx.tx.put(instance)
    return instance.shutdown_behavior


def record_end(ctx: Context, instance_id: str, state: str) -> None:
    instance = the_instance(ctx, instance_id)
    if state == "terminated":
        instance.ended = ctx.now
        instance.handle = None
        move(ctx, instance, "terminated")
    else:
        move(ctx, instance, "stopped")
    trail(ctx, [instance_id], f"instance {instance_id} is {state}")


def boot_again(ctx: Context, instance_id: str, number: int) -> None:
    """The next boot of a running instance (reboot, or a cloud that came back): AWS shows it as running throughout."""
    instance = the_instance(ctx, instance_id)
    instance.boots = number + 1
    ctx.tx.put(instance)
    ctx.start_job("ec2.instance", f"{instance_id}/{number + 1}", instance_id=instance_id, number=number + 1)


@at_start
def watch_again(cloud: Cloud) -> None:
    """Find what runs, boot again what ended with the last cloud, remove sandboxes that no instance owns."""
    store = cloud.part("store")
    with store.thread_snapshot("", "") as tx:
        instances = [found for found in tx.everywhere(Instance) if found[2].state not in ("terminated", "stopped")]
    if not instances:
        return
    driver = cloud.part("compute")
    for account, region, instance in instances:
        if instance.handle is None:
            continue  # its run has not recorded a start: the start effect will be repeated
        handle = msgspec.convert(instance.handle, Handle)
        if isinstance(driver.status(handle), Running):
            watch(cloud, account, region, instance.id, instance.boots, handle, "")
        elif instance.state == "running":
            name = f"ec2.exited:{instance.id}:{instance.boots}"

            def tell(tx: Any, where: tuple[str, str] = (account, region), name: str = name) -> None:
                cloud.part("context")(tx, *where).signal(name, {"restart": True})

            cloud.part("store-writer").submit_threadsafe(tell)
