"""Tags and attribute-based policies through the published SDK."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from databricks.sdk.errors import AlreadyExists, BadRequest, InvalidParameterValue, NotFound, PermissionDenied
from databricks.sdk.service.catalog import (
    ColumnMaskOptions,
    EntityTagAssignment,
    FunctionArgument,
    MatchColumn,
    PermissionsChange,
    PolicyInfo,
    PolicyType,
    Privilege,
    SecurableType,
)
from databricks.sdk.service.tags import TagPolicy, Value

from tests.api.workspace_world import World, make_world


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with make_world() as made:
        made.admin.catalogs.create("people", storage_root=f"{made.root}/people")
        made.admin.schemas.create("hr", "people")
        columns = [{"name": name, "type_text": "string", "type_name": "STRING"} for name in ("id", "mail")]
        table = {"name": "staff", "catalog_name": "people", "schema_name": "hr", "table_type": "MANAGED", "columns": columns}
        made.admin.api_client.do("POST", "/api/2.1/unity-catalog/tables", body=table)
        parameter = {"name": "x", "type_text": "string", "type_name": "STRING", "position": 0}
        function = {"name": "hide", "catalog_name": "people", "schema_name": "hr", "full_data_type": "string", "routine_definition": "'*'"}
        function["input_params"] = {"parameters": [parameter]}  # type: ignore[assignment]
        made.admin.api_client.do("POST", "/api/2.1/unity-catalog/functions", body={"function_info": function})
        made.admin.tag_policies.create_tag_policy(TagPolicy("pii", values=[Value("mail"), Value("other")]))
        yield made


def _policy(name: str, **given: object) -> PolicyInfo:
    info = PolicyInfo(
        name=name,
        on_securable_type=SecurableType.CATALOG,
        on_securable_fullname="people",
        for_securable_type=SecurableType.TABLE,
        policy_type=PolicyType.POLICY_TYPE_COLUMN_MASK,
        to_principals=["account users"],
        match_columns=[MatchColumn(alias="m", condition="has_tag('pii')")],
        column_mask=ColumnMaskOptions(function_name="people.hr.hide", on_column="m"),
    )
    for field, value in given.items():
        setattr(info, field, value)
    return info


def test_tags_of_tables_and_columns_are_assigned_read_changed_and_removed(world: World) -> None:
    tags = world.admin.entity_tag_assignments
    made = tags.create(EntityTagAssignment(entity_type="columns", entity_name="people.hr.staff.mail", tag_key="pii", tag_value="mail"))
    assert (made.tag_key, made.tag_value, made.updated_by) == ("pii", "mail", world.name("admin"))
    with pytest.raises(AlreadyExists, match=r"Tag 'pii' is already assigned to columns 'people\.hr\.staff\.mail'"):
        tags.create(EntityTagAssignment(entity_type="columns", entity_name="people.hr.staff.mail", tag_key="pii"))
    tags.update(
        "columns",
        "people.hr.staff.mail",
        "pii",
        EntityTagAssignment(entity_type="columns", entity_name="people.hr.staff.mail", tag_key="pii", tag_value="other"),
        "tag_value",
    )
    tags.create(EntityTagAssignment(entity_type="tables", entity_name="people.hr.staff", tag_key="domain", tag_value="hr"))
    assert tags.get("columns", "people.hr.staff.mail", "pii").tag_value == "other"
    assert [tag.tag_key for tag in tags.list("tables", "people.hr.staff")] == ["domain"]
    with pytest.raises(NotFound, match="Column 'phone' does not exist in table 'people.hr.staff'"):
        tags.create(EntityTagAssignment(entity_type="columns", entity_name="people.hr.staff.phone", tag_key="pii"))
    tags.delete("columns", "people.hr.staff.mail", "pii")
    with pytest.raises(NotFound, match="Tag 'pii' is not assigned"):
        tags.get("columns", "people.hr.staff.mail", "pii")
    with pytest.raises(InvalidParameterValue, match="entity_type 'models' is not one of catalogs, schemas, tables, volumes, columns"):
        list(tags.list("models", "people.hr.m"))


def test_tagging_needs_apply_tag(world: World) -> None:
    alice, tag = world.client("alice"), EntityTagAssignment(entity_type="tables", entity_name="people.hr.staff", tag_key="mine")
    grants = world.admin.grants
    grants.update("catalog", "people", changes=[PermissionsChange(principal=world.name("alice"), add=[Privilege.USE_CATALOG])])
    rights = [Privilege.USE_SCHEMA, Privilege.SELECT]
    grants.update("schema", "people.hr", changes=[PermissionsChange(principal=world.name("alice"), add=rights)])
    with pytest.raises(PermissionDenied, match="User does not have APPLY TAG on Table 'people.hr.staff'"):
        alice.entity_tag_assignments.create(tag)
    grants.update("table", "people.hr.staff", changes=[PermissionsChange(principal=world.name("alice"), add=[Privilege.APPLY_TAG])])
    assert alice.entity_tag_assignments.create(tag).tag_key == "mine"
    with pytest.raises(PermissionDenied, match="MANAGE"):
        alice.policies.create_policy(_policy("hers"))


def test_policies_are_created_listed_with_what_is_inherited_changed_and_deleted(world: World) -> None:
    policies = world.admin.policies
    made = policies.create_policy(_policy("hide_pii", comment="masks what is tagged"))
    assert (made.name, made.on_securable_type, made.on_securable_fullname, made.created_by) == (
        "hide_pii",
        SecurableType.CATALOG,
        "people",
        world.name("admin"),
    )
    with pytest.raises(AlreadyExists, match="Policy 'hide_pii' already exists on catalog 'people'"):
        policies.create_policy(_policy("hide_pii"))
    assert [each.name for each in policies.list_policies("TABLE", "people.hr.staff", include_inherited=True)] == ["hide_pii"]
    assert list(policies.list_policies("TABLE", "people.hr.staff")) == []
    changed = policies.update_policy("CATALOG", "people", "hide_pii", _policy("renamed", comment="no"), update_mask="name")
    assert (changed.id, changed.name, changed.comment) == (made.id, "renamed", "masks what is tagged")
    with pytest.raises(InvalidParameterValue, match="policy_type cannot be changed from POLICY_TYPE_COLUMN_MASK to POLICY_TYPE_ROW_FILTER"):
        other = _policy("renamed", policy_type=PolicyType.POLICY_TYPE_ROW_FILTER)
        policies.update_policy("CATALOG", "people", "renamed", other, update_mask="policy_type")
    policies.delete_policy("CATALOG", "people", "renamed")
    with pytest.raises(NotFound, match="ABAC Policy 'renamed' does not exist on catalog 'people'"):
        policies.get_policy("CATALOG", "people", "renamed")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"match_columns": [MatchColumn(alias="m", condition="has_tag('pii'")]}, r"The condition .* is not valid: '\)' is missing"),
        ({"match_columns": [MatchColumn(alias="m", condition="tag('pii')")]}, "tag is not expected"),
        ({"match_columns": [MatchColumn(alias="other", condition="TRUE")]}, "m is no alias of match_columns"),
        ({"column_mask": ColumnMaskOptions(function_name="people.hr.none", on_column="m")}, "Function 'people.hr.none' does not exist"),
        (
            {"column_mask": ColumnMaskOptions(function_name="people.hr.hide", on_column="m", using=[FunctionArgument(constant="1")])},
            r"function 'people\.hr\.hide' takes 1 argument\(s\), not 2",
        ),
        ({"to_principals": ["nobody"]}, "Could not find principal with name nobody"),
        ({"policy_type": PolicyType.POLICY_TYPE_ROW_FILTER}, "a POLICY_TYPE_ROW_FILTER needs row_filter and nothing else"),
        ({"match_columns": [MatchColumn(alias="m", condition="has_tag('pii')")] * 4}, "match_columns has 4 conditions; 3 is the most"),
        ({"for_securable_type": SecurableType.VOLUME}, "for_securable_type must be TABLE, not VOLUME"),
    ],
)
def test_a_policy_that_could_never_take_effect_is_refused(world: World, given: dict[str, object], words: str) -> None:
    with pytest.raises((BadRequest, NotFound), match=words):
        world.admin.policies.create_policy(_policy("wrong", **given))
