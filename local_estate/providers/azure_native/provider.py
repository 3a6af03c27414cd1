"""azure-native against the local ARM face."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from local_estate import tenancy
from local_estate.providers.azure_native.arm_types import ARM_TYPES
from local_estate.providers.azure_native.resource import ArmResource
from local_estate.providers.failures import Refused
from local_estate.providers.http import ARM, Credentials, Endpoints, Session, TokenSource
from local_estate.providers.kinds import Provider, Values
from local_estate.providers.schemas import Schemas


class AzureNative(Provider):
    name = "azure-native"
    version = version("pulumi_azure_native")

    def __init__(self) -> None:
        super().__init__()
        self._schemas = Schemas("pulumi_azure_native", self.version, ARM_TYPES)
        self._kinds: dict[str, ArmResource] = {}
        self._endpoints = Endpoints()
        self._settings: dict[str, str] = {}
        self._connect({})

    def _connect(self, config: Values) -> None:
        self._credentials = Credentials.of(
            {
                "client_id": config.get("clientId"),
                "client_secret": config.get("clientSecret"),
                "tenant_id": config.get("tenantId"),
                "subscription_id": config.get("subscriptionId"),
            }
        )
        self._settings = {"subscriptionId": self._credentials.subscription_id, "location": str(config.get("location") or "")}
        tokens = TokenSource(self._endpoints, self._credentials)
        self._session = Session(
            lambda: self._endpoints.face("arm"),
            lambda: {"authorization": f"Bearer {tokens.token(ARM)}"},
            self._endpoints,
            tokens.forget,
            self.cancelled,
        )

    def configure(self, config: Values) -> None:
        self._connect(config)

    def unmanageable_after(self, old: Any, new: Any) -> Sequence[str]:
        return [name for name in ("subscriptionId", "tenantId") if old.get(name) and old.get(name) != new.get(name)]

    def tokens(self) -> Sequence[str]:
        return tuple(ARM_TYPES)

    def kind(self, token: str) -> ArmResource:
        if token not in ARM_TYPES:
            raise Refused(f"the local estate does not support the resource type {token}", "NOT_FOUND")
        if token not in self._kinds:
            self._kinds[token] = ArmResource(
                self._schemas.get(token), ARM_TYPES[token], lambda: self._session, lambda name: self._settings[name]
            )
        return self._kinds[token]

    def invoke(self, token: str, arguments: Values) -> Values:
        kind = self._looked_up(token)
        if kind is not None:
            return kind.look_up(arguments)
        if token != "azure-native:authorization:getClientConfig":  # noqa: S105  a function's name
            raise Refused(f"the local estate does not support the function {token}", "NOT_FOUND")
        client = self._credentials.client_id
        # The object id is a claim of the token; the documented deployer's is known without a call, so that previews need no service.
        object_id = tenancy.DEPLOYER_OBJECT_ID if client == tenancy.DEPLOYER_CLIENT_ID else self._object_id()
        return {
            "clientId": client,
            "objectId": object_id,
            "subscriptionId": self._credentials.subscription_id,
            "tenantId": self._credentials.tenant_id,
        }

    def _looked_up(self, token: str) -> ArmResource | None:
        """The type that `azure-native:databricks:getWorkspace` and its like read; None for other functions."""
        package, _, function = token.rpartition(":")
        resource = f"{package}:{function.removeprefix('get')}"
        return self.kind(resource) if function.startswith("get") and resource in ARM_TYPES else None

    def _object_id(self) -> str:
        import base64
        import json

        payload = TokenSource(self._endpoints, self._credentials).token(ARM).split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["oid"])
