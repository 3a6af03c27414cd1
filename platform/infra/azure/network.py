"""The network of an environment: two delegated subnets for the workspace, one for private endpoints, egress through a NAT gateway alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import network

from infra.component import Component
from infra.naming import Naming
from infra.settings import Network as NetworkSettings

DATABRICKS = "Microsoft.Databricks/workspaces"


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    resource_group: pulumi.Input[str]
    naming: Naming
    settings: NetworkSettings
    tags: Mapping[str, str]


class Network(Component):
    """`workspace_subnets` and `endpoint_subnet` are what others wait for; names and ids are known before the first deployment."""

    token = "lakehouse:azure:Network"
    virtual_network: network.VirtualNetwork
    workspace_subnets: tuple[network.Subnet, network.Subnet]
    endpoint_subnet: network.Subnet
    security_group: network.NetworkSecurityGroup

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        named = args.naming.azure
        common = {"resource_group_name": args.resource_group, "tags": dict(args.tags)}
        self.virtual_network = network.VirtualNetwork(
            "vnet",
            virtual_network_name=named("vnet"),
            address_space={"address_prefixes": [args.settings.address_space]},
            opts=self.child(),
            **common,
        )
        self.security_group = network.NetworkSecurityGroup(
            "workspace", network_security_group_name=named("nsg", "workspace"), opts=self.child(), **common
        )
        endpoints = network.NetworkSecurityGroup(
            "endpoints", network_security_group_name=named("nsg", "endpoints"), opts=self.child(), **common
        )
        network.SecurityRule(
            "deny-internet-inbound",
            resource_group_name=args.resource_group,
            network_security_group_name=endpoints.name,
            security_rule_name="deny-internet-inbound",
            priority=4000,
            direction="Inbound",
            access="Deny",
            protocol="*",
            source_address_prefix="Internet",
            source_port_range="*",
            destination_address_prefix="*",
            destination_port_range="*",
            opts=self.child(),
        )
        gateway = self._gateway(args, common)
        # Azure allows one write to a virtual network at a time: the subnets follow each other.
        public = self._subnet("public", args, args.settings.public_subnet, self.security_group, gateway, [])
        private = self._subnet("private", args, args.settings.private_subnet, self.security_group, gateway, [public])
        self.workspace_subnets = (public, private)
        self.endpoint_subnet = self._subnet("endpoints", args, args.settings.endpoint_subnet, endpoints, None, [private])
        self.register_outputs({"virtual_network_id": self.virtual_network.id})

    def _gateway(self, args: NetworkArgs, common: Mapping[str, object]) -> network.NatGateway:
        """Injected subnets need an egress path of their own: Azure's default outbound access is being retired."""
        address = network.PublicIPAddress(
            "egress",
            public_ip_address_name=args.naming.azure("pip", "egress"),
            public_ip_allocation_method="Static",
            sku={"name": "Standard"},
            opts=self.child(),
            **common,
        )
        return network.NatGateway(
            "egress",
            nat_gateway_name=args.naming.azure("ng", "egress"),
            sku={"name": "Standard"},
            public_ip_addresses=[{"id": address.id}],
            opts=self.child(),
            **common,
        )

    def _subnet(
        self,
        role: str,
        args: NetworkArgs,
        prefix: str,
        security_group: network.NetworkSecurityGroup,
        gateway: network.NatGateway | None,
        after: list[pulumi.Resource],
    ) -> network.Subnet:
        workspace = gateway is not None
        return network.Subnet(
            role,
            resource_group_name=args.resource_group,
            virtual_network_name=self.virtual_network.name,
            subnet_name=args.naming.azure("snet", role),
            address_prefix=prefix,
            network_security_group={"id": security_group.id},
            nat_gateway={"id": gateway.id} if gateway else None,
            delegations=[{"name": "databricks", "service_name": DATABRICKS}] if workspace else None,
            private_endpoint_network_policies="Disabled",
            default_outbound_access=False,
            opts=self.child(depends_on=after),
        )
