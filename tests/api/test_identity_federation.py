"""Tokens of another issuer: who may exchange which for a Databricks one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from databricks.sdk.errors import DatabricksError, NotFound
from databricks.sdk.service.oauth2 import FederationPolicy, OidcFederationPolicy

from local_estate import tenancy
from tests.api.estate_setup import Ready, ready_workspace
from tests.conftest import RunningEstate

ISSUER = "https://token.actions.githubusercontent.com"
SUBJECT = "repo:mt/lakehouse:environment:prod"


@dataclass(frozen=True)
class Issuer:
    key: rsa.RSAPrivateKey

    @property
    def keys(self) -> str:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return json.dumps({"keys": [{**public, "kid": "1", "use": "sig", "alg": "RS256"}]})

    def token(self, **claims: Any) -> str:
        usual = {"iss": ISSUER, "aud": tenancy.ACCOUNT_ID, "sub": SUBJECT, "exp": int(time.time()) + 300}
        return jwt.encode({**usual, **claims}, self.key, algorithm="RS256", headers={"kid": "1"})


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer(rsa.generate_private_key(public_exponent=65537, key_size=2048))


@pytest.fixture(scope="module")
def ready(shared_estate: RunningEstate) -> Iterator[Ready]:
    yield ready_workspace(shared_estate)


def _exchange(ready: Ready, token: str, **form: str) -> tuple[int, dict[str, Any]]:
    grant = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": token, "scope": "all-apis"}
    kind = {"subject_token_type": "urn:ietf:params:oauth:token-type:jwt"}
    reply = httpx.post(f"{ready.url}/oidc/v1/token", data={**grant, **kind, **form})
    return reply.status_code, reply.json()


def test_a_service_principal_signs_in_by_a_token_its_policy_accepts(ready: Ready, issuer: Issuer) -> None:
    member = ready.as_service_principal("sp-federated").current_user.me()
    rules = OidcFederationPolicy(issuer=ISSUER, subject=SUBJECT, jwks_json=issuer.keys)
    policies = ready.account.service_principal_federation_policy
    made = policies.create(int(member.id or ""), FederationPolicy(oidc_policy=rules), policy_id="github-prod")
    assert made.oidc_policy and made.oidc_policy.audiences == [tenancy.ACCOUNT_ID]
    client = {"client_id": member.user_name or ""}
    status, answer = _exchange(ready, issuer.token(), **client)
    assert (status, answer["token_type"]) == (200, "Bearer")
    headers = {"authorization": f"Bearer {answer['access_token']}"}
    assert httpx.get(f"{ready.url}/api/2.0/preview/scim/v2/Me", headers=headers).json()["displayName"] == "sp-federated"
    stranger = Issuer(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    refused = [
        issuer.token(sub="repo:mt/lakehouse:environment:dev"),
        issuer.token(aud="another"),
        issuer.token(iss="https://example.com"),
        issuer.token(exp=int(time.time()) - 60),
        stranger.token(),
        "no token",
    ]
    assert [_exchange(ready, token, **client)[1]["error"] for token in refused] == ["invalid_grant"] * len(refused)
    policies.delete(int(member.id or ""), "github-prod")
    assert _exchange(ready, issuer.token(), **client)[1]["error"] == "invalid_grant"


def test_a_policy_of_the_account_lets_people_in_by_the_claim_that_names_them(ready: Ready, issuer: Issuer) -> None:
    person = ready.client.users.create(user_name="ana@mt.example")
    rules = OidcFederationPolicy(issuer=ISSUER, subject_claim="email", audiences=["databricks"], jwks_json=issuer.keys)
    ready.account.federation_policy.create(FederationPolicy(oidc_policy=rules), policy_id="people")
    status, answer = _exchange(ready, issuer.token(aud="databricks", email="Ana@mt.example"))
    assert status == 200
    headers = {"authorization": f"Bearer {answer['access_token']}"}
    assert httpx.get(f"{ready.url}/api/2.0/preview/scim/v2/Me", headers=headers).json()["id"] == person.id
    assert _exchange(ready, issuer.token(aud="databricks", email="bob@mt.example"))[1]["error"] == "invalid_grant"
    changed = OidcFederationPolicy(issuer="https://other.example")
    ready.account.federation_policy.update("people", FederationPolicy(oidc_policy=changed), update_mask="oidc_policy.issuer")
    assert ready.account.federation_policy.get("people").oidc_policy.issuer == "https://other.example"  # type: ignore[union-attr]
    assert _exchange(ready, issuer.token(aud="databricks", email="ana@mt.example"))[1]["error"] == "invalid_grant"
    assert [each.policy_id for each in ready.account.federation_policy.list()] == ["people"]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"issuer": "http://plain.example"}, "issuer must be an https URL"),
        ({"issuer": ISSUER, "subject": SUBJECT}, "for policies of service principals only"),
        ({"issuer": ISSUER, "jwks_json": "{}"}, "is no JSON Web Key Set"),
    ],
)
def test_a_policy_that_could_accept_nothing_or_anything_is_refused(ready: Ready, rules: dict[str, str], message: str) -> None:
    with pytest.raises(DatabricksError, match=message):
        ready.account.federation_policy.create(FederationPolicy(oidc_policy=OidcFederationPolicy(**rules)))


def test_a_missing_policy_is_not_found(ready: Ready) -> None:
    with pytest.raises(NotFound, match="Federation policy none does not exist"):
        ready.account.federation_policy.get("none")


def test_the_sign_in_redirect_names_the_tenant(ready: Ready) -> None:
    reply = httpx.get(f"{ready.url}/aad/auth")
    assert (reply.status_code, reply.headers["location"].split("/")[3]) == (302, tenancy.TENANT_ID)
