"""The life of an instance: booted, watched, stopped, removed.

Invariants: one run per boot (`i-…/N`) starts the sandbox and stays with it to its end, so nothing else starts or stops it; a sandbox
that ended while no cloud ran (down, host restart) is booted again with its files at the next start, unless someone had stopped it.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

import msgspec

from windtunnel.compute.driver import Driver, Exited, GuestFile, Handle, Running, SandboxError, SandboxSpec
from windtunnel.jobs import Run, job
from windtunnel.kernel.cloud import Cloud
from windtunnel.kernel.context import Context
from windtunnel.kernel.registry import at_start
from windtunnel.kernel.trail import trail
from windtunnel.kernel.typed import convert
from windtunnel.services.ec2.instances import INSTANCE_ID, move
from windtunnel.services.ec2.model import GIB, TYPES, Instance, State, private_address, private_dns, run_id, stamp
from windtunnel.services.ec2.network.defaults import ensure
from windtunnel.services.ec2.network.elastic import Address
from windtunnel.services.ec2.network.wall import private_network
from windtunnel.services.ec2.walls import build_again, changed

log = logging.getLogger("windtunnel.ec2")
GRACE = 20.0
INIT = ("/sbin/init",)


def spec(ctx: Context, instance: Instance) -> SandboxSpec:
    """The sandbox of an instance: memory and processors of its type, its disk kept, its place in its VPC, the endpoint where this machine has it."""
    private = private_network(ctx, instance)
    address = private_address(instance)
    cpus, memory = TYPES[instance.type]
    region = ctx.scope.region
    settings = {"AWS_ENDPOINT_URL": ctx.cloud.endpoint, "AWS_DEFAULT_REGION": region, "AWS_REGION": region}
    settings["AWS_DISABLE_HOST_PREFIX_INJECTION"] = "true"
    exports = "".join(f"export {name}={value}\n" for name, value in settings.items())
    plain = "".join(f"{name}={value}\n" for name, value in settings.items())
    return SandboxSpec(
        id=instance.id,
        image="stock",
        argv=INIT,
        env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **settings},
        hostname=private_dns(ctx.scope, address).split(".")[0] if address else instance.id,
        private=private,
        files=(
            GuestFile("/etc/environment", plain.encode()),
            GuestFile("/etc/profile.d/windtunnel.sh", exports.encode()),
            GuestFile("/etc/windtunnel/last-end", b"lost\n" if instance.lost == instance.boots - 1 else b"\n"),
        ),
        memory=int(memory * GIB),
        cpus=float(cpus),
        keep=True,
    )


class Started(msgspec.Struct, frozen=True):
    """What came of a start: a handle, or the reason why there is none. A refusal is a result, so that a replay takes the same way."""

    handle: Handle | None = None
    reason: str = ""


def given_up(ctx: Context, message: str, instance_id: str, **_: Any) -> None:
    """A run that failed in a way that nobody foresaw leaves no instance in a state in which it would stay for ever."""
    record_failure(ctx, instance_id, message)


@job("ec2.instance", failed=given_up)
def run_instance(run: Run, instance_id: str, number: int) -> None:
    """One boot of an instance, from pending to its end."""
    cloud = run.cloud
    address = run.effect("address", reserve, cloud, instance_id)
    run.tx("placed", record_address, instance_id, address)
    started = run.effect("start", start, cloud, run, instance_id, returns=Started)
    if started.handle is None:
        if run.tx("failed", record_failure, instance_id, started.reason) == "terminated":
            run.effect("remove", remove, cloud, instance_id)
        return
    handle = started.handle
    run.tx("running", record_running, instance_id, msgspec.to_builtins(handle))
    run.effect("watch", watch, cloud, run.scope.account, run.scope.region, instance_id, number, handle)
    order, exited = f"ec2.order:{instance_id}:{number}", f"ec2.exited:{instance_id}:{number}"
    found = run.wait_any([order, exited])
    if found is not None and found[0] == exited:
        run.tx("exit", record_exit, instance_id, found[1])
    elif found is not None and found[1]["order"] != "terminate":
        run.effect("stop", stop, cloud, handle)
    if run.tx("ended", after_the_end, instance_id, number) == "terminated":
        run.effect("remove", remove, cloud, instance_id)
        run.tx("terminated", record_terminated, instance_id)


@job("ec2.remove", failed=given_up)
def remove_stopped(run: Run, instance_id: str) -> None:
    """Terminate an instance that does not run."""
    run.effect("remove", remove, run.cloud, instance_id)
    run.tx("terminated", record_terminated, instance_id)


def reserve(cloud: Cloud, instance_id: str, token: str) -> str:
    address: str | None = cloud.part("compute").reserve_address(instance_id)
    return address or ""


def start(cloud: Cloud, run: Run, instance_id: str, token: str) -> Started:
    try:
        cloud.part("images").ensure_stock(lambda line: log.info("%s", line))
        wanted = run.read(lambda ctx: spec(ctx, the_instance(ctx, instance_id)))
        return Started(cloud.part("compute").start(wanted, token))
    except SandboxError as error:
        if cloud.part("closing").is_set():
            raise  # the next cloud starts it
        return Started(reason=str(error))


def watch(cloud: Cloud, account: str, region: str, instance_id: str, number: int, handle: Handle, token: str) -> None:
    """Have the boot's end told to its run. At a restart `watch_again` does it anew."""

    def ended(_: Handle, exited: Exited) -> None:
        if cloud.part("closing").is_set():
            return  # it ends with the cloud, and boots again with it
        part = cloud.part("store-writer")

        def tell(tx: Any) -> None:
            cloud.part("context")(tx, account, region).signal(
                f"ec2.exited:{instance_id}:{number}", {"code": exited.code, "restart": exited.lost}
            )

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


def record_address(ctx: Context, instance_id: str, address: str) -> None:
    """Where the host reaches it. An instance of a release that knew no VPCs gets its place in the default one with its next boot."""
    ensure(ctx)
    instance = the_instance(ctx, instance_id)
    instance.private_ip, instance.wired = address, bool(instance.vpc_ip)
    ctx.tx.put(instance)


def record_running(ctx: Context, instance_id: str, handle: dict[str, Any]) -> None:
    instance = the_instance(ctx, instance_id)
    instance.handle = handle
    if instance.state == "pending":
        move(ctx, instance, "running")
        trail(ctx, [instance_id], f"instance {instance_id} runs at {private_address(instance)}")
    else:  # asked to stop while it booted, or booted again by a new cloud
        ctx.tx.put(instance)
    changed(ctx, instance.vpc_id)


def record_failure(ctx: Context, instance_id: str, reason: str) -> State:
    """A first boot that fails ends the instance; one that has run before keeps its disk and is stopped. Returns its state."""
    instance = the_instance(ctx, instance_id)
    if instance.state == "terminated":
        return "terminated"
    instance.reason_code, instance.reason = "Server.InternalError", f"Server.InternalError: {reason}"
    instance.transition = f"Server.InternalError ({stamp(ctx.now)})"
    trail(ctx, [instance_id], f"instance {instance_id} could not boot: {reason}", level="error")
    if instance.handle is not None and instance.state != "shutting-down":
        move(ctx, instance, "stopped")
        return "stopped"
    instance.ended, instance.handle = ctx.now, None
    move(ctx, instance, "terminated")
    return "terminated"


def record_exit(ctx: Context, instance_id: str, exited: dict[str, Any]) -> None:
    """An end that nobody ordered: the guest shut itself down, unless it ended with the cloud or the machine (`restart`)."""
    instance = the_instance(ctx, instance_id)
    if exited.get("restart"):
        instance.lost = instance.boots
        ctx.tx.put(instance)
        return
    if instance.state != "running":
        return
    said = "Client.InstanceInitiatedShutdown"
    instance.reason_code, instance.reason = said, f"{said}: Instance initiated shutdown"
    instance.transition = ""
    move(ctx, instance, "shutting-down" if instance.shutdown_behavior == "terminate" else "stopping")


def after_the_end(ctx: Context, instance_id: str, number: int) -> State:
    """What follows a boot's end is what the instance's state asks for by now, whatever the orders were that came meanwhile.

    A running instance boots again (reboot, or a cloud that came back): AWS shows it as running throughout.
    """
    instance = the_instance(ctx, instance_id)
    if instance.state == "shutting-down":
        return "terminated"
    if instance.state == "stopping":
        move(ctx, instance, "stopped")
        trail(ctx, [instance_id], f"instance {instance_id} is stopped")
        return "stopped"
    instance.boots = number + 1
    ctx.tx.put(instance)
    ctx.start_job("ec2.instance", run_id(instance), instance_id=instance_id, number=instance.boots)
    return instance.state


def record_terminated(ctx: Context, instance_id: str) -> None:
    instance = the_instance(ctx, instance_id)
    instance.ended, instance.handle = ctx.now, None
    move(ctx, instance, "terminated")
    changed(ctx, instance.vpc_id)
    trail(ctx, [instance_id], f"instance {instance_id} is terminated")


@at_start
def find_again(cloud: Any) -> None:
    """Watch what runs, boot again what ended with the last cloud, remove sandboxes that no instance owns."""
    with cloud.part("store").thread_snapshot("", "") as tx:
        instances = [found for found in tx.everywhere(Instance) if found[2].state != "terminated"]
        owned = [found.id for _, _, found in (*instances, *tx.everywhere(Address))]
    build_again(cloud, instances)
    driver = cloud.made_part("compute")
    if driver is None:
        if not any(instance.state != "stopped" for _, _, instance in instances):
            return
        driver = cloud.part("compute")
    for account, region, instance in instances:
        if instance.state != "stopped":
            find_boot_again(cloud, driver, account, region, instance)
    strays = [name for name in driver.orphans(owned) if INSTANCE_ID.match(name) or name.startswith("eipalloc-")]
    threading.Thread(target=remove_strays, args=(driver, strays), name="ec2-strays", daemon=True).start()


def find_boot_again(cloud: Cloud, driver: Driver, account: str, region: str, instance: Instance) -> None:
    handle = convert(instance.handle, Handle) if instance.handle else None
    if handle is None or not handle.token.startswith(f"{run_id(instance)}/"):
        return  # this boot's run has not recorded a start: the start effect will be repeated
    if isinstance(driver.status(handle), Running):
        watch(cloud, account, region, instance.id, instance.boots, handle, "")
    elif instance.state == "running":
        name = f"ec2.exited:{instance.id}:{instance.boots}"
        cloud.part("store-writer").submit_threadsafe(lambda tx: cloud.part("context")(tx, account, region).signal(name, {"restart": True}))


def remove_strays(driver: Driver, strays: list[str]) -> None:
    for stray in strays:
        try:
            driver.remove(stray)
        except SandboxError as error:
            log.warning("sandbox %s belongs to no instance and could not be removed: %s", stray, error)
