"""Private endpoints to one target after the other, each with its record in the hub's zone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import network

from infra.azure.hub import ZONES, link
from infra.component import Component
from infra.naming import Naming


@dataclass(frozen=True, kw_only=True)
class Target:
    """`name` is short and unique in the environment; `group` is the target's groupId."""

    name: str
    group: str
    resource_id: pulumi.Input[str]
    ready: tuple[pulumi.Resource, ...]


@dataclass(frozen=True, kw_only=True)
class PrivateEndpointsArgs:
    """`zone_ids` by groupId and `hub_resource_group` come from stack `shared`."""

    resource_group: pulumi.Input[str]
    naming: Naming
    subnet_id: pulumi.Input[str]
    virtual_network_id: pulumi.Input[str]
    hub_resource_group: pulumi.Input[str]
    zone_ids: Mapping[str, pulumi.Output[str]]
    targets: tuple[Target, ...]
    tags: Mapping[str, str]


class PrivateEndpoints(Component):
    token = "lakehouse:azure:PrivateEndpoints"

    def __init__(self, name: str, args: PrivateEndpointsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        for group in sorted({target.group for target in args.targets}):
            spoke = f"{args.naming.environment}-{group}"
            link(self, spoke, args.hub_resource_group, ZONES[group], args.naming, args.virtual_network_id, args.tags, [])
        previous: list[pulumi.Resource] = []
        for target in args.targets:
            # Two endpoints on one target at once are refused by the target, so all follow each other.
            endpoint = network.PrivateEndpoint(
                target.name,
                resource_group_name=args.resource_group,
                private_endpoint_name=args.naming.azure("pe", target.name),
                subnet={"id": args.subnet_id},
                private_link_service_connections=[
                    {"name": target.name, "private_link_service_id": target.resource_id, "group_ids": [target.group]}
                ],
                tags=dict(args.tags),
                opts=self.child(depends_on=[*target.ready, *previous]),
            )
            records = network.PrivateDnsZoneGroup(
                target.name,
                resource_group_name=args.resource_group,
                private_endpoint_name=endpoint.name,
                private_dns_zone_group_name="default",
                private_dns_zone_configs=[{"name": target.group.replace("_", "-"), "private_dns_zone_id": args.zone_ids[target.group]}],
                opts=self.child(),
            )
            previous = [endpoint, records]
        self.register_outputs({})
