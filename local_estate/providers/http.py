"""HTTP to the faces of the local estate: addresses from `endpoints.json`, client-credential tokens, bounded retries."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from local_estate import tenancy
from local_estate.paths import Paths
from local_estate.providers.failures import Refused, ReplyLost, ServiceError

ARM = "https://management.azure.com"
DATABRICKS = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"

_ATTEMPTS = 6
_BUDGET_SECONDS = 60.0
_TIMEOUT_SECONDS = 120.0
_RETRIED = {429, 500, 502, 503, 504}
_REFUSED_BEFORE_EFFECT = {429, 503}
_AMBIGUOUS = {500, 502, 504}


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """A service principal of the tenant. Missing parts show when a token is asked for, not before: previews need none."""

    client_id: str
    client_secret: str = field(repr=False)
    tenant_id: str
    subscription_id: str

    @classmethod
    def of(cls, configured: Mapping[str, str | None]) -> Credentials:
        """Configuration wins over `ARM_*` in the environment, the documented ids of the local tenant come last."""
        return cls(
            client_id=configured.get("client_id") or os.environ.get("ARM_CLIENT_ID") or tenancy.DEPLOYER_CLIENT_ID,
            client_secret=configured.get("client_secret") or os.environ.get("ARM_CLIENT_SECRET") or "",
            tenant_id=configured.get("tenant_id") or os.environ.get("ARM_TENANT_ID") or tenancy.TENANT_ID,
            subscription_id=configured.get("subscription_id") or os.environ.get("ARM_SUBSCRIPTION_ID") or tenancy.SUBSCRIPTION_ID,
        )


class Endpoints:
    """`endpoints.json`, read again whenever an entry is missing or its port no longer answers."""

    def __init__(self, paths: Paths | None = None) -> None:
        self._paths = paths or Paths.from_environment()
        self._content: dict[str, Any] = {}

    def reload(self) -> None:
        try:
            self._content = json.loads(self._paths.endpoints.read_text())
        except FileNotFoundError:
            raise Refused(f"the local estate is not running: {self._paths.endpoints} is missing. Start it with `make up`") from None

    def face(self, name: str) -> str:
        """`arm` or `account`."""
        return self._find(lambda content: content.get(name), f"has no {name} face")

    def workspace(self, host: str) -> str:
        return self._find(lambda content: content.get("workspaces", {}).get(host, {}).get("url"), f"knows no workspace {host}")

    def workspace_numbered(self, workspace_id: str) -> str:
        def find(content: Mapping[str, Any]) -> str | None:
            for each in content.get("workspaces", {}).values():
                if str(each["workspace_id"]) == workspace_id:
                    return str(each["url"])
            return None

        return self._find(find, f"knows no workspace with id {workspace_id}")

    def _find(self, find: Callable[[Mapping[str, Any]], str | None], missing: str) -> str:
        found = find(self._content) if self._content else None
        if not found:
            self.reload()
            found = find(self._content)
        if not found:
            raise Refused(f"the local estate {missing} ({self._paths.endpoints})")
        return found


class TokenSource:
    """Entra tokens of one service principal, one per resource, kept until a minute before they end."""

    def __init__(self, endpoints: Endpoints, credentials: Credentials) -> None:
        self._endpoints = endpoints
        self._credentials = credentials
        self._tokens: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def token(self, resource: str) -> str:
        with self._lock:
            token, until = self._tokens.get(resource, ("", 0.0))
            if time.monotonic() < until:
                return token
            if not self._credentials.client_secret:
                raise Refused(
                    "no client secret: set ARM_CLIENT_SECRET (`make shell` does) or the provider's client secret", "UNAUTHENTICATED"
                )
            session = Session(lambda: self._endpoints.face("arm"), dict, self._endpoints)
            form = {
                "grant_type": "client_credentials",
                "client_id": self._credentials.client_id,
                "client_secret": self._credentials.client_secret,
                "scope": f"{resource}/.default",
            }
            reply = session.request(
                "POST",
                f"/{self._credentials.tenant_id}/oauth2/v2.0/token",
                content=urlencode(form).encode(),
                content_type="application/x-www-form-urlencoded",
                repeatable=True,
            )
            self._tokens[resource] = (reply.json["access_token"], time.monotonic() + int(reply.json["expires_in"]) - 60)
            return self._tokens[resource][0]

    def forget(self) -> None:
        with self._lock:
            self._tokens.clear()


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A successful answer; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content) if self.content.strip() else {}


class Session:
    """Requests to one face. `base` is asked for each time, since ports move when the service restarts.

    Connections are not kept: on loopback a new one is cheap, and a kept one that the server closed would make a POST's fate unknown.
    """

    def __init__(
        self,
        base: Callable[[], str],
        headers: Callable[[], Mapping[str, str]],
        endpoints: Endpoints,
        forget_token: Callable[[], None] = lambda: None,
        cancelled: threading.Event | None = None,
    ) -> None:
        self._base = base
        self._headers = headers
        self._endpoints = endpoints
        self._forget_token = forget_token
        self._cancelled = cancelled or threading.Event()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content: bytes | None = None,
        content_type: str = "application/json",
        repeatable: bool | None = None,
    ) -> Reply:
        """Raises ServiceError for an error answer, ReplyLost if a request that must not be repeated may have had its effect.

        All methods but POST are repeatable unless said otherwise. A lost reply of a repeatable request is asked for again.
        """
        may_repeat = method != "POST" if repeatable is None else repeatable
        payload = json.dumps(body).encode() if content is None and body is not None else content
        url = quote(path, safe="/%:@!$&'()*+,;=-._~|") + (f"?{urlencode(_query(query))}" if query else "")
        deadline = time.monotonic() + _BUDGET_SECONDS
        refreshed = False
        for attempt in range(1, _ATTEMPTS + 1):
            last = attempt == _ATTEMPTS or time.monotonic() > deadline or self._cancelled.is_set()
            try:
                reply = self._once(method, url, payload, content_type)
            except ConnectionRefusedError:
                # Nothing was sent, so any request may be tried again; the service may be restarting on other ports.
                if last:
                    raise Refused("the local estate does not answer; see its log, or start it with `make up`", "ABORTED") from None
                self._wait(attempt, None)
                self._endpoints.reload()
                continue
            except (OSError, http.client.HTTPException) as error:
                if not may_repeat or last:
                    raise ReplyLost(f"{method} {path}: the connection ended without an answer ({type(error).__name__})") from error
                self._wait(attempt, None)
                continue
            if reply.status < 400:
                return reply
            if reply.status == 401 and not refreshed:
                refreshed = True
                self._forget_token()
                continue
            failure = _error(reply, f"{method} {path}")
            if reply.status in _AMBIGUOUS and not may_repeat:
                # Something between us and the handler may have answered after the effect.
                raise ReplyLost(str(failure))
            if last or reply.status not in (_RETRIED if may_repeat else _REFUSED_BEFORE_EFFECT):
                raise failure
            self._wait(attempt, reply.headers.get("retry-after"))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _once(self, method: str, url: str, payload: bytes | None, content_type: str) -> Reply:
        base = urlsplit(self._base())
        headers = {"accept": "application/json", **self._headers()}
        if payload is not None:
            headers["content-type"] = content_type
        connection = http.client.HTTPConnection(base.hostname or "", base.port, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request(method, url, payload, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        return Reply(status=answer.status, headers={name.lower(): value for name, value in answer.getheaders()}, content=content)

    def _wait(self, attempt: int, retry_after: str | None) -> None:
        try:
            seconds = float(retry_after or "")
        except ValueError:
            seconds = 0.1 * 2**attempt
        self._cancelled.wait(min(seconds, 10.0))


def _query(query: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in query.items() if value is not None}


def _error(reply: Reply, call: str) -> ServiceError:
    """The code and message of an ARM, Databricks, SCIM or OAuth error body."""
    try:
        body = json.loads(reply.content)
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    error = body.get("error")
    if isinstance(error, dict):
        return ServiceError(reply.status, str(error.get("code", "")), str(error.get("message", "")), call)
    if isinstance(error, str):
        return ServiceError(reply.status, error, str(body.get("error_description", "")), call)
    if "detail" in body:
        return ServiceError(reply.status, str(body.get("scimType") or f"SCIM_{reply.status}"), str(body["detail"]), call)
    text = reply.content.decode(errors="replace")[:500]
    return ServiceError(reply.status, str(body.get("error_code") or f"HTTP_{reply.status}"), str(body.get("message") or text), call)
