"""Binds the controls to Pulumi's policy SDK. Only this module needs the policies' own environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
)
from pulumi_policy import Severity as PackSeverity
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError

from guardrails.controls import CONTROLS, Control
from guardrails.exemptions import FIELDS, exemption_of
from guardrails.values import Undecided, Unknown

TEXTS = {"type": "array", "items": {"type": "string"}}
EXEMPTIONS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {name: {"type": "string"} for name in FIELDS},
        "required": list(FIELDS),
        "additionalProperties": False,
    },
}
CONFIGURABLE: dict[str, dict[str, Any]] = {
    "allowedGroups": TEXTS,
    "allowedServicePrincipals": TEXTS,
    "ownerGroup": {"type": "string"},
}


def serve() -> None:
    """Never returns: `PolicyPack` serves until the engine ends the process."""
    PolicyPack("guardrails", [_policy(control) for control in CONTROLS], enforcement_level=EnforcementLevel.MANDATORY)


def _policy(control: Control) -> ResourceValidationPolicy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if not control.applies_to(args.resource_type):
            return
        configuration = args.get_config()
        exemption = exemption_of(args.urn, configuration.get("exemptions") or (), datetime.now(UTC).date())
        if exemption is not None:
            args.not_applicable(str(exemption))
        try:
            for finding in control.check(_plain(args.props, ""), configuration):
                report(f"[{control.control}] {args.name}: {finding.where} {finding.what}. Fix: {control.fix}", None)
        except Undecided as undecided:
            raise UnknownValueError(UNKNOWN_STRING_VALUE, undecided.path.split(".")) from None

    schema: dict[str, dict[str, Any]] = {"exemptions": EXEMPTIONS}
    if control.requires:
        schema |= CONFIGURABLE
    return ResourceValidationPolicy(
        name=control.name,
        description=f"{control.description} ({control.control})",
        validate=validate,
        enforcement_level=EnforcementLevel(control.level.value),
        config_schema=PolicyConfigSchema(schema, list(control.requires)),
        severity=PackSeverity(control.severity.value),
        tags=[control.control],
        remediation_steps=control.fix,
    )


def _plain(value: Any, path: str) -> Any:
    """The SDK raises on the first touch of an unknown value; a predicate may want to know merely that there is one."""
    if isinstance(value, Mapping):
        return {key: _element(value, key, f"{path}.{key}" if path else str(key)) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_element(value, index, f"{path}[{index}]") for index in range(len(value))]
    return value


def _element(container: Any, key: Any, path: str) -> Any:
    try:
        return _plain(container[key], path)
    except UnknownValueError:
        return Unknown(path)
