"""What the first resource of a type costs is paid once, in `warm`."""

from __future__ import annotations

from windtunnel.app import load_services
from windtunnel.provision import registry, warming
from windtunnel.provision.shaping import Walk
from windtunnel.provision.simple import Mapped

load_services()
EC2 = ("AWS::EC2::VPC", "AWS::EC2::Subnet")


def test_a_walk_is_compiled_once() -> None:
    walk = Walk("sqs", "CreateQueue", rest="Attributes")
    walk.compile()
    first = walk._compiled
    walk.compile()
    assert walk._compiled is first is not None


def test_types_are_warmed_once_and_whatever_else_is_asked_for_is_no_error() -> None:
    warming.warm([*EC2, "AWS::Athena::WorkGroup", "AWS::No::Such", "Custom::Thing"])
    handlers = [registry.handler(name) for name in EC2]
    compiled = [handler.creating._compiled for handler in handlers if isinstance(handler, Mapped)]
    assert len(compiled) == 2 and None not in compiled
    assert {*EC2, "Custom::Thing"} <= warming._warmed
    warming.warm(EC2)
    assert [handler.creating._compiled for handler in handlers if isinstance(handler, Mapped)] == compiled
