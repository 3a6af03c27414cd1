"""The settings of a stack: pydantic models over `Pulumi.<stack>.yaml`, loaded once. Nothing below asks which stack it is."""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
import zoneinfo
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pulumi
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

from infra.errors import SettingsError
from infra.node_types import NODE_TYPES

GUID = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]

PREFIX = "lakehouse:"
EnvironmentName = Annotated[str, Field(pattern=r"^[a-z]{3,8}$")]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Azure(Section):
    tenant_id: GUID
    subscription_id: GUID
    # Of the enterprise application AzureDatabricks in this tenant: az ad sp show --id 2ff814a6-3304-4ab8-85cb-cd0e6f879c1d --query id
    databricks_object_id: GUID
    location: str = Field(pattern=r"^[a-z0-9]+$")
    organisation: str = Field(default="mt", pattern=r"^[a-z][a-z0-9]{1,7}$")
    workload: str = Field(default="lakehouse", pattern=r"^[a-z][a-z0-9]{1,11}$")


class Databricks(Section):
    account_id: GUID
    deployer_application_id: GUID


class Tags(Section):
    """The one tag schema; every taggable resource carries all of them."""

    ENVM: str
    COST_CENTER: str
    SYSTEM: str = "lakehouse"
    DATA_DOMAIN: str = "shared"
    UDP_BU_DB_COST: str = "GRP_IT-DPM"


class Network(Section):
    """CIDR ranges; the workspace's two subnets are /26 or larger."""

    address_space: str
    public_subnet: str
    private_subnet: str
    endpoint_subnet: str

    @model_validator(mode="after")
    def _fits(self) -> Network:
        space = _range("address_space", self.address_space)
        subnets = {name: _range(name, getattr(self, name)) for name in ("public_subnet", "private_subnet", "endpoint_subnet")}
        for name, subnet in subnets.items():
            if not subnet.subnet_of(space):
                raise ValueError(f"{name} {subnet} is outside address_space {space}")
            for other, taken in subnets.items():
                if other < name and subnet.overlaps(taken):
                    raise ValueError(f"{name} {subnet} overlaps {other} {taken}")
            if name != "endpoint_subnet" and subnet.prefixlen > 26:
                raise ValueError(f"{name} {subnet} must be /26 or larger")
        return self


def _range(name: str, text: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


class Hub(Section):
    address_space: str

    @field_validator("address_space")
    @classmethod
    def _valid(cls, text: str) -> str:
        return str(_range("address_space", text))


class Storage(Section):
    redundancy: Literal["Standard_LRS", "Standard_ZRS", "Standard_GRS", "Standard_RAGRS", "Standard_GZRS", "Standard_RAGZRS"]
    soft_delete_days: int = Field(ge=1, le=365)
    cool_after_days: int = Field(default=30, ge=1)


class Compute(Section):
    spark_version: str = Field(pattern=r"^\d+\.\d+\.x-scala2\.1[23]$")
    node_types: tuple[str, ...] = Field(min_length=1)
    max_workers: int = Field(ge=1, le=64)
    warehouse_size: Literal["2X-Small", "X-Small", "Small", "Medium", "Large"] = "2X-Small"

    @field_validator("node_types")
    @classmethod
    def _offered(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in NODE_TYPES:
                close = ", ".join(difflib.get_close_matches(name, sorted(NODE_TYPES), n=3)) or "see infra/node_types.py"
                raise ValueError(f"{name} is no node type that Databricks offers here; near it: {close}")
        return names


class Schedules(Section):
    """What starts by itself. The others are deployed paused, so that a run by hand is all that is missing of them.

    `running` has `stream` only once the secret of its connection is in the vault: a continuous run that fails is started again and again.
    """

    running: tuple[Literal["maintenance", "pipelines", "stream"], ...] = ()
    timezone: str = "Australia/Sydney"
    maintenance: str = "0 0 2 * * ?"
    pipelines: str = "0 0 6 * * ?"

    def pause_status(self, name: str) -> str:
        return "UNPAUSED" if name in self.running else "PAUSED"

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in zoneinfo.available_timezones():
            raise ValueError(f"{name!r} is no time zone, such as Australia/Sydney")
        return name

    @field_validator("maintenance", "pipelines")
    @classmethod
    def _quartz(cls, expression: str) -> str:
        if len(expression.split()) not in (6, 7):
            raise ValueError(f"{expression!r} is no Quartz expression, which begins with the second: `0 0 2 * * ?` is every day at two")
        return expression


class Artifact(Section):
    """The wheel. Without a digest it is built from the checkout, unless `required`."""

    digest: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    required: bool = False


class AccountSettings(Section):
    """Stack `shared`: what exists once for the account and the region. `environments` get their service principals here."""

    scope: Literal["account"]
    azure: Azure
    databricks: Databricks
    tags: Tags
    hub: Hub
    environments: tuple[EnvironmentName, ...] = Field(min_length=1)
    protect: bool

    @field_validator("environments")
    @classmethod
    def _once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)} is listed twice")
        return names


class EnvironmentSettings(Section):
    """One environment. `catalog_prefix` keeps environments apart in the region's one metastore."""

    scope: Literal["environment"]
    environment: EnvironmentName
    shared_stack: str = "shared"
    azure: Azure
    databricks: Databricks
    tags: Tags
    network: Network
    storage: Storage
    compute: Compute
    artifact: Artifact = Artifact()
    schedules: Schedules = Schedules()
    catalog_prefix: str = Field(pattern=r"^([a-z]+_)?$")
    vacuum_retention_hours: int = Field(ge=168)
    protect: bool
    force_destroy: bool = False
    # True for one `up` after a destroy: Azure keeps the name of a deleted vault for ninety days, and gives the vault back with its secrets.
    recover_vault: bool = False

    @model_validator(mode="after")
    def _agrees(self) -> EnvironmentSettings:
        if self.environment != self.tags.ENVM:
            raise ValueError(f"{PREFIX}tags.ENVM is {self.tags.ENVM}, but {PREFIX}environment is {self.environment}")
        if self.protect and self.force_destroy:
            raise ValueError(f"{PREFIX}force_destroy deletes what {PREFIX}protect keeps; only one of them can be true")
        return self


Settings = Annotated[AccountSettings | EnvironmentSettings, Field(discriminator="scope")]
_ADAPTER: TypeAdapter[AccountSettings | EnvironmentSettings] = TypeAdapter(Settings)


def load() -> AccountSettings | EnvironmentSettings:
    """Of the running stack. Raises SettingsError."""
    from pulumi.runtime import config  # the SDK offers no other way to see keys nobody asked for

    return parse(pulumi.get_stack(), {key: value for key, value in config.CONFIG.get().items() if key.startswith(PREFIX)})


def parse(stack: str, config: Mapping[str, str]) -> AccountSettings | EnvironmentSettings:
    """`config` as Pulumi hands it over: `lakehouse:key` to text, JSON for structured values."""
    values = {key.removeprefix(PREFIX): _value(text) for key, text in config.items()}
    try:
        return _ADAPTER.validate_python(values)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(stack, problem) for problem in error.errors())) from None


def _value(text: str) -> Any:
    """Structured values arrive as JSON, booleans and numbers as their text."""
    if not re.match(r"[\[{]", text) and text not in {"true", "false"} and not re.fullmatch(r"-?(0|[1-9]\d*)", text):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text  # only the model knows what was meant, and names the key when this is not it


def _explain(stack: str, problem: Mapping[str, Any]) -> str:
    file = f"Pulumi.{stack}.yaml"
    if problem["type"].startswith("union_tag"):
        return f"{file}: {PREFIX}scope must be account or environment. Fix: set it."
    said = problem["msg"].removeprefix("Value error, ")
    where = [str(part) for part in problem["loc"][1:]]  # the first says which of the two scopes was read
    if not where:
        return f"{file}: {said}. Fix: correct one of them."
    key = PREFIX + ".".join(where)
    if problem["type"] == "missing":
        return f"{file}: {key} is missing. Fix: set it; the other stack files show its form."
    if problem["type"] == "extra_forbidden":
        return f"{file}: {key} is no known setting. Fix: remove it or correct its name; platform/infra/settings.py lists them."
    given = "" if isinstance(problem["input"], dict) else f" (given: {problem['input']!r})"
    return f"{file}: {key}: {said}{given}. Fix: correct the value."
