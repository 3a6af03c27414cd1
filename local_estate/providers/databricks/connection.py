"""Which face of the local estate a Databricks provider speaks to: an account, or the workspace of an Azure resource id."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from local_estate.providers.failures import Refused, ServiceError
from local_estate.providers.http import ARM, DATABRICKS, Credentials, Endpoints, Session, TokenSource

_WORKSPACE_API = "2018-04-01"  # what the published clients ask ARM with
_ACCOUNTS_HOST = "accounts.azuredatabricks.net"


class Connection:
    """Makes no call until a session is used: a preview may be configured for a workspace that does not exist yet."""

    def __init__(self, config: Mapping[str, Any], cancelled: threading.Event) -> None:
        self._endpoints = Endpoints()
        self._cancelled = cancelled
        self._resource_id = str(config.get("azureWorkspaceResourceId") or os.environ.get("DATABRICKS_AZURE_RESOURCE_ID") or "")
        self._host = str(config.get("host") or os.environ.get("DATABRICKS_HOST") or "").removeprefix("https://").strip("/")
        self._account_id = str(config.get("accountId") or os.environ.get("DATABRICKS_ACCOUNT_ID") or "")
        credentials = Credentials.of(
            {
                "client_id": config.get("azureClientId"),
                "client_secret": config.get("azureClientSecret"),
                "tenant_id": config.get("azureTenantId"),
            }
        )
        self._tokens = TokenSource(self._endpoints, credentials)
        self._found_host = ""
        self._lock = threading.Lock()

    @property
    def is_account(self) -> bool:
        """A provider that names a workspace speaks to it, even when it knows its account too."""
        return bool(self._account_id) and not self._resource_id and (not self._host or self._host == _ACCOUNTS_HOST)

    @property
    def account_id(self) -> str:
        if not self._account_id:
            raise Refused("this provider has no account_id, which account-level resources need", "INVALID_ARGUMENT")
        return self._account_id

    @property
    def workspace_host(self) -> str:
        """`adb-….azuredatabricks.net`. Raises Refused or ServiceError while the workspace is not there."""
        with self._lock:
            if self._host and not self._resource_id:
                return self._host
            if not self._resource_id:
                raise Refused("this provider names no workspace: set azure_workspace_resource_id", "INVALID_ARGUMENT")
            if not self._found_host:
                self._found_host = self._ask_arm()
            return self._found_host

    def _ask_arm(self) -> str:
        try:
            shown = self.arm().request("GET", self._resource_id, query={"api-version": _WORKSPACE_API}).json
        except ServiceError as error:
            if error.missing:
                raise Refused(f"{error.code}: the workspace {self._resource_id} does not exist") from error
            raise
        return str(shown["properties"]["workspaceUrl"])

    def _session(self, base: Callable[[], str], audience: str) -> Session:
        def headers() -> Mapping[str, str]:
            return {"authorization": f"Bearer {self._tokens.token(audience)}"}

        return Session(base, headers, self._endpoints, self._tokens.forget, self._cancelled)

    def arm(self) -> Session:
        return self._session(lambda: self._endpoints.face("arm"), ARM)

    def account(self) -> Session:
        return self._session(lambda: self._endpoints.face("account"), DATABRICKS)

    def workspace(self, workspace_id: str = "") -> Session:
        """The configured workspace; of an account's provider the one that `provider_config` names."""
        if self.is_account and workspace_id:
            return self._session(lambda: self._endpoints.workspace_numbered(workspace_id), DATABRICKS)
        if self.is_account:
            raise Refused("an account-level provider needs provider_config.workspace_id for a workspace-level resource", "INVALID_ARGUMENT")
        return self._session(lambda: self._endpoints.workspace(self.workspace_host), DATABRICKS)
