"""The controls the pack enforces, one row per property: a policy that meets an unknown value must not take others with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from guardrails import checks
from guardrails.checks import Check


class Level(StrEnum):
    """Weakest first."""

    DISABLED = "disabled"
    ADVISORY = "advisory"
    REMEDIATE = "remediate"
    MANDATORY = "mandatory"

    def weaker_than(self, other: Level) -> bool:
        order = list(Level)
        return order.index(self) < order.index(other)


class Severity(StrEnum):
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, kw_only=True)
class Control:
    """`types` is a pattern of the whole type token; `requires` names the configuration the check cannot do without."""

    name: str
    control: str
    description: str
    fix: str
    severity: Severity
    types: str
    check: Check
    level: Level = Level.MANDATORY
    requires: tuple[str, ...] = ()

    def applies_to(self, resource_type: str) -> bool:
        return re.fullmatch(self.types, resource_type) is not None


def _azure(module: str, resource: str) -> str:
    """The default version of the API, an explicit one (`…/v20240501:…`), and a generated SDK's (`azure-native_x_v1:…`)."""
    return rf"azure-native(_\w+)?:{module}(/v\w+)?:{resource}"


WORKSPACE = _azure("databricks", "Workspace")
STORAGE_ACCOUNT = _azure("storage", "StorageAccount")
GRANTS = r"databricks:index/(grants:Grants|grant:Grant)"
JOB = r"databricks:index/job:Job"
ABAC_POLICY = r"databricks:index/policyInfo:PolicyInfo"
ALLOW_LIST = ("allowedGroups",)
OWNERS = ("ownerGroup",)


def _vnet(name: str, parameter: str) -> Control:
    return Control(
        name=name,
        control="NET-03",
        description="The workspace lies in our virtual network",
        fix=f"set parameters.{parameter}.value; a workspace cannot be moved into a network later",
        severity=Severity.CRITICAL,
        types=WORKSPACE,
        check=checks.must_be_set(f"parameters.{parameter}.value"),
    )


def _compute(name: str, types: str, check: Check) -> Control:
    return Control(
        name=name,
        control="CMP-02",
        description="All classic compute carries a cluster policy",
        fix="set policyId to the id of a cluster policy, such as etl_restricted",
        severity=Severity.HIGH,
        types=types,
        check=check,
    )


def _hiding(name: str, option: str, description: str) -> Control:
    return Control(
        name=name,
        control="UC-07",
        description=description,
        fix="except a group of allowedGroups in policies/config, and add the principal to that group",
        severity=Severity.CRITICAL,
        types=ABAC_POLICY,
        check=checks.exceptions_are_allow_listed(option),
        requires=ALLOW_LIST,
    )


CONTROLS: tuple[Control, ...] = (
    Control(
        name="net-02-no-public-ip",
        control="NET-02",
        description="Cluster nodes have no public IP (secure cluster connectivity)",
        fix="set parameters.enableNoPublicIp.value to true",
        severity=Severity.CRITICAL,
        types=WORKSPACE,
        check=checks.must_be_true("parameters.enableNoPublicIp.value"),
    ),
    _vnet("net-03-virtual-network", "customVirtualNetworkId"),
    _vnet("net-03-public-subnet", "customPublicSubnetName"),
    _vnet("net-03-private-subnet", "customPrivateSubnetName"),
    Control(
        name="st-01-https-only",
        control="ST-01",
        description="Storage accounts answer HTTPS only",
        fix="set enableHttpsTrafficOnly to true",
        severity=Severity.HIGH,
        types=STORAGE_ACCOUNT,
        check=checks.must_be_true("enableHttpsTrafficOnly"),
    ),
    Control(
        name="st-01-minimum-tls",
        control="ST-01",
        description="Storage accounts refuse TLS below 1.2",
        fix="set minimumTlsVersion to TLS1_2",
        severity=Severity.HIGH,
        types=STORAGE_ACCOUNT,
        check=checks.must_be_one_of("minimumTlsVersion", "TLS1_2", "TLS1_3"),
    ),
    Control(
        name="uc-04-allow-listed-principals",
        control="UC-04",
        description="Grants go to allow-listed groups",
        fix="grant to a group of allowedGroups in policies/config, and add the principal to that group",
        severity=Severity.CRITICAL,
        types=GRANTS,
        check=checks.principals_are_allow_listed,
        requires=ALLOW_LIST,
    ),
    Control(
        name="uc-04-owner-privileges",
        control="UC-04",
        description="ALL_PRIVILEGES and MANAGE stay with the owner group",
        fix="name the privileges that are needed, or make the principal a member of the owner group",
        severity=Severity.CRITICAL,
        types=GRANTS,
        check=checks.owner_privileges_stay_with_the_owners,
        requires=OWNERS,
    ),
    Control(
        name="uc-07-policies-for-everybody",
        control="UC-07",
        description="Masks and row filters are for everybody but whom they except",
        fix="set toPrincipals to account users, and name in exceptPrincipals who sees more",
        severity=Severity.CRITICAL,
        types=ABAC_POLICY,
        check=checks.applies_to_everybody,
    ),
    _hiding("uc-07-mask-exceptions", "columnMask", "Personal data is shown in the clear to allow-listed groups alone"),
    _hiding("uc-07-filter-exceptions", "rowFilter", "Rows of all regions are shown to allow-listed groups alone"),
    _compute("cmp-02-cluster", r"databricks:index/cluster:Cluster", checks.must_be_set("policyId")),
    _compute("cmp-02-job-clusters", JOB, checks.each_must_set("policyId", "jobClusters", only_with="newCluster")),
    _compute("cmp-02-job-tasks", JOB, checks.each_must_set("policyId", "tasks", only_with="newCluster")),
    _compute("cmp-02-job-for-each-tasks", JOB, checks.each_must_set("policyId", "tasks", only_with="forEachTask.task.newCluster")),
    _compute("cmp-02-job-new-cluster", JOB, checks.each_must_set("policyId", "newCluster")),
    _compute("cmp-02-pipeline-clusters", r"databricks:index/pipeline:Pipeline", checks.each_must_set("policyId", "clusters")),
)

BY_NAME = {control.name: control for control in CONTROLS}
