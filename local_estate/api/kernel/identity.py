"""Who is calling: principals, and the tokens that stand for them.

Three kinds of token are accepted, as Azure Databricks does: Entra-shaped JWTs (ARM, and Databricks for its own audience),
Databricks OAuth JWTs from `/oidc/v1/token`, and personal access tokens. JWTs are signed with the estate's key; of a PAT only its
hash is stored.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt

from local_estate import tenancy
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Reader

ARM_AUDIENCE = "https://management.azure.com"
DATABRICKS_AUDIENCE = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"
VAULT_AUDIENCE = "https://vault.azure.net"
TOKEN_SECONDS = 3600

PRINCIPAL = "identity.principal"  # documents: one per user and service principal of the account, by numeric id
TOKEN = "identity.token"  # noqa: S105  documents: personal access tokens by sha256


@dataclass(frozen=True, kw_only=True)
class Principal:
    """A user or service principal of the account. `name` is what grants use: an e-mail or an application id."""

    id: str
    kind: str  # "user" | "service_principal"
    name: str
    display_name: str
    object_id: str = ""  # in Entra ID
    token_kind: str = ""  # "entra" | "oauth" | "pat" of this call

    @classmethod
    def of(cls, document: dict[str, Any], token_kind: str = "") -> Principal:
        return cls(
            id=document["id"],
            kind=document["kind"],
            name=document["name"],
            display_name=document.get("display_name", ""),
            object_id=document.get("object_id", ""),
            token_kind=token_kind,
        )


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """The contents of `credentials.json`: made once, readable by the owner alone."""

    deployer_secret: str
    signing_key: str

    @classmethod
    def load_or_create(cls, path: Path) -> Credentials:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            content = {
                "tenant_id": tenancy.TENANT_ID,
                "subscription_id": tenancy.SUBSCRIPTION_ID,
                "account_id": tenancy.ACCOUNT_ID,
                "deployer": {"client_id": tenancy.DEPLOYER_CLIENT_ID, "client_secret": secrets.token_urlsafe(32)},
                "signing_key": secrets.token_urlsafe(48),
            }
            draft = path.with_suffix(f".{os.getpid()}")
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump(content, file, indent=2)
            draft.replace(path)
        content = json.loads(path.read_text())
        return cls(
            deployer_secret=content["deployer"]["client_secret"],
            signing_key=content["signing_key"],
        )


class Tokens:
    """Issues and reads bearer tokens."""

    def __init__(self, signing_key: str) -> None:
        self._key = signing_key

    def entra(self, *, application_id: str, object_id: str, audience: str) -> str:
        return self._issue(
            {
                "iss": f"https://sts.windows.net/{tenancy.TENANT_ID}/",
                "aud": audience,
                "appid": application_id,
                "oid": object_id,
                "tid": tenancy.TENANT_ID,
            }
        )

    def oauth(self, *, principal_id: str, workspace_id: int | None, seconds: int = TOKEN_SECONDS) -> str:
        """A Databricks OAuth token, also what runs act with; `workspace_id` None is the account."""
        return self._issue({"iss": "databricks", "aud": "databricks", "sub": principal_id, "workspace_id": workspace_id}, seconds)

    def _issue(self, claims: dict[str, Any], seconds: int = TOKEN_SECONDS) -> str:
        now = int(time.time())
        return jwt.encode(
            {**claims, "iat": now, "nbf": now - 5, "exp": now + seconds, "jti": secrets.token_hex(8)},
            self._key,
            algorithm="HS256",
        )

    def claims(self, token: str) -> dict[str, Any]:
        """Raises ApiError UNAUTHENTICATED for a token that is not ours or has expired."""
        try:
            claims: dict[str, Any] = jwt.decode(token, self._key, algorithms=["HS256"], options={"verify_aud": False})
        except jwt.ExpiredSignatureError:
            raise ApiError("UNAUTHENTICATED", "Access token has expired. Request a new one and retry.") from None
        except jwt.InvalidTokenError:
            raise ApiError("PERMISSION_DENIED", "Invalid access token.") from None
        return claims


def authenticate(tokens: Tokens, reader: Reader, *, authorization: str, audiences: tuple[str, ...], workspace_id: int | None) -> Principal:
    """The principal behind an Authorization header. Raises ApiError 401 without one, 403 for a bad one.

    `audiences`: the Entra audiences this face accepts; Databricks OAuth tokens and PATs only count where "databricks" is among them.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise ApiError("UNAUTHENTICATED", "Credential was not sent or was of an unsupported type for this API.")
    if token.startswith("dapi"):
        return _by_pat(reader, token, audiences, workspace_id)
    claims = tokens.claims(token)
    if claims["aud"] not in audiences:
        raise ApiError(
            "PERMISSION_DENIED",
            f"Invalid access token. Its audience {claims['aud']} is not one of {', '.join(audiences)}.",
        )
    if claims["iss"] == "databricks":
        # A workspace's token opens neither another workspace nor the account.
        if claims["workspace_id"] not in (None, workspace_id):
            raise ApiError("PERMISSION_DENIED", "Invalid access token. It was issued for another workspace.")
        document = reader.get(PRINCIPAL, claims["sub"])
        kind = "oauth"
    else:
        document = reader.first(PRINCIPAL, {"name": claims["appid"]})
        kind = "entra"
    if document is None:
        raise ApiError("PERMISSION_DENIED", "Invalid access token. Its principal does not exist in this account.")
    return Principal.of(document, kind)


def _by_pat(reader: Reader, token: str, audiences: tuple[str, ...], workspace_id: int | None) -> Principal:
    stored = reader.get(TOKEN, hashlib.sha256(token.encode()).hexdigest())
    usable = (
        stored is not None
        and "databricks" in audiences
        and stored["workspace_id"] == workspace_id
        and (stored["expiry_time"] == -1 or stored["expiry_time"] > time.time() * 1000)
    )
    document = reader.get(PRINCIPAL, stored["principal_id"]) if usable and stored else None
    if document is None:
        raise ApiError("PERMISSION_DENIED", "Invalid access token.")
    return Principal.of(document, "pat")
