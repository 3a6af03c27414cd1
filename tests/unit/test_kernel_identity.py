"""Tokens: whose, for what, and when they stop counting."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

import pytest

from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.identity import PRINCIPAL, TOKEN, Credentials, Principal, Tokens, authenticate
from local_estate.api.kernel.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store.db")
    with store.transaction() as transaction:
        transaction.put(PRINCIPAL, "7", {"id": "7", "kind": "service_principal", "name": "app-1", "display_name": "etl"})
    return store


def _who(store: Store, token: str, workspace_id: int | None = 1) -> Principal:
    return authenticate(
        Tokens("k" * 48),
        store.read,
        authorization=f"Bearer {token}",
        audiences=("databricks", "dbx"),
        workspace_id=workspace_id,
    )


def test_an_entra_token_is_the_principal_with_its_application_id(store: Store) -> None:
    token = Tokens("k" * 48).entra(application_id="app-1", object_id="o", audience="dbx")
    assert (_who(store, token).id, _who(store, token).token_kind) == ("7", "entra")


def test_a_token_for_another_audience_is_refused(store: Store) -> None:
    token = Tokens("k" * 48).entra(application_id="app-1", object_id="o", audience="arm")
    with pytest.raises(ApiError, match="Its audience arm is not one of databricks, dbx"):
        _who(store, token)


def test_a_token_of_one_workspace_does_not_open_another(store: Store) -> None:
    token = Tokens("k" * 48).oauth(principal_id="7", workspace_id=1)
    assert _who(store, token).name == "app-1"
    with pytest.raises(ApiError, match="issued for another workspace"):
        _who(store, token, workspace_id=2)


def test_an_expired_token_asks_for_a_new_one(store: Store) -> None:
    token = Tokens("k" * 48).oauth(principal_id="7", workspace_id=1, seconds=-1)
    with pytest.raises(ApiError, match="expired. Request a new one") as refused:
        _who(store, token)
    assert refused.value.status == 401


def test_a_token_signed_by_another_key_is_invalid(store: Store) -> None:
    with pytest.raises(ApiError, match="Invalid access token"):
        _who(store, Tokens("x" * 48).oauth(principal_id="7", workspace_id=1))


def test_no_credential_is_a_401(store: Store) -> None:
    with pytest.raises(ApiError, match="Credential was not sent") as refused:
        authenticate(Tokens("k" * 48), store.read, authorization="", audiences=("databricks",), workspace_id=1)
    assert refused.value.status == 401


@pytest.mark.parametrize(("expiry", "workspace_id", "good"), [(-1, 1, True), (1, 1, False), (-1, 2, False)])
def test_a_personal_access_token_counts_in_its_workspace_until_it_expires(store: Store, expiry: int, workspace_id: int, good: bool) -> None:
    token = "dapi" + "0" * 32
    entry = {
        "principal_id": "7",
        "workspace_id": 1,
        "expiry_time": expiry if expiry < 0 else int(time.time() * 1000) - 1,
    }
    with store.transaction() as transaction:
        transaction.put(TOKEN, hashlib.sha256(token.encode()).hexdigest(), entry)
    if good:
        assert _who(store, token, workspace_id).token_kind == "pat"
    else:
        with pytest.raises(ApiError, match="Invalid access token"):
            _who(store, token, workspace_id)


def test_credentials_are_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "home" / "credentials.json"
    first = Credentials.load_or_create(path)
    assert Credentials.load_or_create(path) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert first.deployer_secret == json.loads(path.read_text())["deployer"]["client_secret"]
    assert "deployer_secret" not in str(json.loads(path.read_text()).keys())
