"""Secret scopes as the published SDK uses them."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from databricks.sdk.errors import BadRequest, DatabricksError, InvalidParameterValue, NotFound, PermissionDenied, ResourceAlreadyExists
from databricks.sdk.service.workspace import AclPermission, AzureKeyVaultSecretScopeMetadata, ScopeBackendType

from tests.api.workspace_world import World, make_world


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with make_world() as made:
        yield made


@pytest.fixture
def scope(world: World, request: pytest.FixtureRequest) -> str:
    name = str(request.node.name)[:100]
    world.admin.secrets.create_scope(name)
    return name


def test_a_secret_comes_back_in_base64_and_lists_show_no_value(world: World, scope: str) -> None:
    world.admin.secrets.put_secret(scope, "text", string_value="s3cret-té")
    world.admin.secrets.put_secret(scope, "bytes", bytes_value=base64.b64encode(b"\x00\xff").decode())
    assert base64.b64decode(world.admin.secrets.get_secret(scope, "text").value or "") == "s3cret-té".encode()
    assert base64.b64decode(world.admin.secrets.get_secret(scope, "bytes").value or "") == b"\x00\xff"
    assert [set(each.as_dict()) for each in world.admin.secrets.list_secrets(scope)] == [{"key", "last_updated_timestamp"}] * 2


def test_a_value_is_on_disk_only_encrypted(world: World, scope: str) -> None:
    world.admin.secrets.put_secret(scope, "k", string_value="needle-in-a-haystack")
    written = b"".join(path.read_bytes() for path in world.home.rglob("*") if path.is_file())
    assert scope.encode() in written
    assert b"needle-in-a-haystack" not in written
    assert base64.b64encode(b"needle-in-a-haystack") not in written


def test_levels_read_write_manage(world: World, scope: str) -> None:
    alice = world.client("alice")
    world.admin.secrets.put_secret(scope, "k", string_value="v")
    with pytest.raises(PermissionDenied, match=f"does not have READ permission on scope {scope}"):
        alice.secrets.get_secret(scope, "k")
    world.admin.secrets.put_acl(scope, world.name("alice"), AclPermission.READ)
    assert alice.secrets.get_secret(scope, "k").value == "dg=="
    with pytest.raises(PermissionDenied, match=f"does not have WRITE permission on scope {scope}"):
        alice.secrets.put_secret(scope, "k", string_value="w")
    world.admin.secrets.put_acl(scope, world.name("alice"), AclPermission.WRITE)
    alice.secrets.put_secret(scope, "k", string_value="w")
    with pytest.raises(PermissionDenied, match=f"does not have MANAGE permission on scope {scope}"):
        alice.secrets.delete_scope(scope)
    world.admin.secrets.delete_acl(scope, world.name("alice"))
    with pytest.raises(PermissionDenied):
        alice.secrets.get_secret(scope, "k")


def test_a_group_holds_levels_too(world: World, scope: str) -> None:
    world.admin.secrets.put_secret(scope, "k", string_value="v")
    world.admin.secrets.put_acl(scope, "engineers", AclPermission.READ)
    assert world.client("alice").secrets.get_secret(scope, "k").value == "dg=="
    with pytest.raises(PermissionDenied):
        world.client("bob").secrets.get_secret(scope, "k")
    assert scope in {each.name for each in world.client("alice").secrets.list_scopes()}
    assert scope not in {each.name for each in world.client("bob").secrets.list_scopes()}


def test_the_creator_manages(world: World, scope: str) -> None:
    assert [(each.principal, each.permission) for each in world.admin.secrets.list_acls(scope)] == [
        (world.name("admin"), AclPermission.MANAGE)
    ]


def test_names_are_taken_once(world: World, scope: str) -> None:
    with pytest.raises(ResourceAlreadyExists, match=f"Scope {scope} already exists!"):
        world.admin.secrets.create_scope(scope)


def test_what_is_missing_is_named(world: World, scope: str) -> None:
    with pytest.raises(NotFound, match="Scope nothing does not exist!"):
        world.admin.secrets.get_secret("nothing", "k")
    with pytest.raises(NotFound, match=f"Secret does not exist with scope: {scope} and key: k"):
        world.admin.secrets.get_secret(scope, "k")
    with pytest.raises(NotFound, match="Principal ghosts does not exist."):
        world.admin.secrets.put_acl(scope, "ghosts", AclPermission.READ)


def test_a_secret_that_is_too_large_is_refused(world: World, scope: str) -> None:
    with pytest.raises(DatabricksError, match="at most 131072 bytes"):
        world.admin.secrets.put_secret(scope, "k", string_value="x" * (128 * 1024 + 1))


def test_a_deleted_scope_takes_its_secrets_with_it(world: World, scope: str) -> None:
    world.admin.secrets.put_secret(scope, "k", string_value="v")
    world.admin.secrets.delete_scope(scope)
    world.admin.secrets.create_scope(scope)
    assert list(world.admin.secrets.list_secrets(scope)) == []


def test_a_key_vault_scope_reads_through_and_is_read_only(world: World) -> None:
    vault = AzureKeyVaultSecretScopeMetadata(resource_id=world.vault_id, dns_name=world.vault_url)
    world.admin.secrets.create_scope("kv", scope_backend_type=ScopeBackendType.AZURE_KEYVAULT, backend_azure_keyvault=vault)
    assert base64.b64decode(world.admin.secrets.get_secret("kv", "from-vault").value or "") == b"vault-value"
    shown = next(each for each in world.admin.secrets.list_scopes() if each.name == "kv")
    assert (shown.backend_type, shown.keyvault_metadata) == (ScopeBackendType.AZURE_KEYVAULT, vault)
    with pytest.raises(BadRequest, match="it is read-only"):
        world.admin.secrets.put_secret("kv", "k", string_value="v")
    with pytest.raises(NotFound, match="Secret does not exist with scope: kv and key: none"):
        world.admin.secrets.get_secret("kv", "none")
    with pytest.raises(PermissionDenied, match="does not have READ permission on scope kv"):
        world.client("bob").secrets.get_secret("kv", "from-vault")


def test_a_key_vault_scope_reads_nothing_unless_azure_databricks_has_its_role_on_the_vault(world: World) -> None:
    vault = AzureKeyVaultSecretScopeMetadata(resource_id=world.vault_id, dns_name=world.vault_url)
    world.admin.secrets.create_scope("kv-closed", scope_backend_type=ScopeBackendType.AZURE_KEYVAULT, backend_azure_keyvault=vault)
    assignment = world.arm("GET", world.vault_reader_id)
    world.arm("DELETE", world.vault_reader_id)
    try:
        with pytest.raises(PermissionDenied, match=r"Invalid permissions on the specified KeyVault .* has no role Key Vault Secrets User"):
            world.admin.secrets.get_secret("kv-closed", "from-vault")
    finally:
        world.arm("PUT", world.vault_reader_id, {"properties": assignment["properties"]})
    assert base64.b64decode(world.admin.secrets.get_secret("kv-closed", "from-vault").value or "") == b"vault-value"


def test_a_key_vault_scope_is_refused_to_a_personal_access_token(world: World) -> None:
    vault = AzureKeyVaultSecretScopeMetadata(resource_id=world.vault_id, dns_name=world.vault_url)
    with pytest.raises(PermissionDenied, match="a personal access token cannot create it"):
        world.by_pat("admin").secrets.create_scope("kv2", scope_backend_type=ScopeBackendType.AZURE_KEYVAULT, backend_azure_keyvault=vault)


def test_a_key_vault_scope_needs_the_vault(world: World) -> None:
    vault = AzureKeyVaultSecretScopeMetadata(resource_id=world.vault_id + "-gone", dns_name=world.vault_url)
    with pytest.raises(InvalidParameterValue, match="does not exist"):
        world.admin.secrets.create_scope("kv3", scope_backend_type=ScopeBackendType.AZURE_KEYVAULT, backend_azure_keyvault=vault)
