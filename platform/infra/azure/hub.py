"""The region's hub: a virtual network and the private DNS zones every environment links to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import network, privatedns

from infra.component import Component
from infra.naming import Naming

# groupId of the private endpoint → its zone
ZONES = {
    "databricks_ui_api": "privatelink.azuredatabricks.net",
    "dfs": "privatelink.dfs.core.windows.net",
    "blob": "privatelink.blob.core.windows.net",
    "vault": "privatelink.vaultcore.azure.net",
}


@dataclass(frozen=True, kw_only=True)
class HubArgs:
    resource_group: pulumi.Input[str]
    naming: Naming
    address_space: str
    tags: Mapping[str, str]


class Hub(Component):
    """`zone_ids` by groupId."""

    token = "lakehouse:azure:Hub"
    virtual_network: network.VirtualNetwork
    zone_ids: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: HubArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self.virtual_network = network.VirtualNetwork(
            "hub",
            resource_group_name=args.resource_group,
            virtual_network_name=args.naming.azure("vnet", "hub"),
            address_space={"address_prefixes": [args.address_space]},
            tags=dict(args.tags),
            opts=self.child(),
        )
        self.zone_ids = {}
        for group, zone_name in ZONES.items():
            zone = privatedns.PrivateZone(
                group,
                resource_group_name=args.resource_group,
                private_zone_name=zone_name,
                location="global",
                tags=dict(args.tags),
                opts=self.child(),
            )
            link(self, f"hub-{group}", args.resource_group, zone_name, args.naming, self.virtual_network.id, args.tags, [zone])
            self.zone_ids[group] = zone.id
        self.register_outputs({"virtual_network_id": self.virtual_network.id})


def link(
    parent: Component,
    name: str,
    resource_group: pulumi.Input[str],
    zone: str,
    naming: Naming,
    virtual_network_id: pulumi.Input[str],
    tags: Mapping[str, str],
    after: list[pulumi.Resource],
) -> privatedns.VirtualNetworkLink:
    """One link per zone and network; only manual registration, since private endpoints write their own records."""
    return privatedns.VirtualNetworkLink(
        name,
        resource_group_name=resource_group,
        private_zone_name=zone,
        virtual_network_link_name=naming.azure("link", name.split("-")[0]),
        location="global",
        registration_enabled=False,
        virtual_network={"id": virtual_network_id},
        tags=dict(tags),
        opts=parent.child(depends_on=after),
    )
