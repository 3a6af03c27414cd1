"""What follows from the contracts: JSON Schemas, constraints, tags and masks, assets, lineage, pages."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from infra.databricks.jobs import daily_steps
from lakehouse.contracts import ContractError, Kind, QualityRule, Severity, UnknownDataset, contract, load_contracts, of_system
from lakehouse.contracts.assets import StepAssets, asset, step_assets
from lakehouse.contracts.document import GROUPS, read_document
from lakehouse.contracts.json_schema import DIALECT, producer_schema, producer_schemas
from lakehouse.contracts.masks import CLEAR_GROUP, ColumnTag, column_tags, masks
from lakehouse.contracts.pages import generated
from lakehouse.contracts.registry import consumers_of, documents, load_topics, topic
from lakehouse.ddl import add_check, check, create_table
from lakehouse.names import TableName

EVENTS = topic("sfdc.contact_events")
TABLE = TableName(catalog="c", schema="s", table="t")
EVERY = {dataset.name: dataset for dataset in (*load_contracts(), *load_topics())}


def test_a_topic_is_no_table() -> None:
    assert EVENTS.topic is not None
    assert (EVENTS.topic.name, EVENTS.topic.key, EVENTS.kind) == ("sfdc.contact-events.v1", "contact_id", Kind.TOPIC)
    assert EVENTS.name not in {dataset.name for dataset in load_contracts()}
    with pytest.raises(UnknownDataset, match=r"sfdc\.events is no topic\. There are sfdc\.contact_events\."):
        topic("sfdc.events")


def test_the_objectives_of_the_blueprint_are_promised() -> None:
    assert EVENTS.objectives.freshness == timedelta(minutes=5)
    for dataset in load_contracts():
        if dataset.kind is Kind.MART:
            assert dataset.objectives.freshness is not None, dataset.name
            assert dataset.objectives.freshness <= timedelta(hours=2), dataset.name


def test_every_rule_has_an_owner_and_may_name_another() -> None:
    file = "domains/pega/case_silver.yaml"
    text = dict(documents())[file]
    assert {rule.owner for column in contract("pega.case_silver").columns for rule in column.quality} == {"case-management"}
    owned = "implementation: not_before, customProperties: [{property: owner, value: crm}],"
    other = read_document(text.replace("implementation: not_before,", owned), file=file, system="pega")
    assert other.column("resolved_ts").quality[0].owner == "crm"
    with pytest.raises(ContractError, match="'team' is not one of ours: owner"):
        read_document(text.replace("implementation: not_before,", owned.replace("owner", "team")), file=file, system="pega")


def test_there_is_a_schema_for_every_landing_dataset_and_topic_and_no_other() -> None:
    made = producer_schemas(EVERY)
    assert set(made) == {name for name, dataset in EVERY.items() if dataset.kind in (Kind.BRONZE, Kind.TOPIC)}
    for name, schema in made.items():
        assert schema["$schema"] == DIALECT
        assert schema["additionalProperties"] is True
        assert list(schema["properties"]) == [column.name for column in EVERY[name].declared_columns]
        assert set(schema["required"]) <= set(schema["properties"])
        assert any(column.required for column in EVERY[name].columns) or schema["required"], name


def test_a_landing_schema_asks_for_what_silver_requires_and_leaves_words_to_standardisation() -> None:
    schema = producer_schema(of_system("pega", Kind.BRONZE), of_system("pega", Kind.SILVER))
    assert schema["required"] == ["case_id", "case_type", "status", "customer_id", "created_ts", "updated_ts"]
    status, minutes = schema["properties"]["status"], schema["properties"]["handle_time_minutes"]
    assert ("enum" in status, status["examples"]) == (False, ["OPEN", "IN_PROGRESS", "RESOLVED", "CLOSED"])
    assert minutes["type"] == ["integer", "string", "null"]
    assert schema["properties"]["updated_ts"]["format"] == "date-time"
    csv = producer_schema(of_system("jarvis", Kind.BRONZE), of_system("jarvis", Kind.SILVER))
    assert {tuple(value["type"]) for value in csv["properties"].values()} == {("string", "null")}


def test_a_message_is_held_to_its_types_and_words() -> None:
    properties = producer_schema(EVENTS)["properties"]
    assert properties["event_type"]["enum"][:2] == ["CALL_STARTED", "CALL_ENDED"]
    assert (properties["event_id"]["type"], properties["case_id"]["type"]) == ("string", ["string", "null"])
    assert properties["note"]["x-classification"] == "pii"
    optional = replace(EVENTS.column("event_type"), required=False)
    loose = replace(EVENTS, columns=tuple(optional if c.name == "event_type" else c for c in EVENTS.columns))
    assert producer_schema(loose)["properties"]["event_type"]["enum"][-1] is None


def test_the_check_of_a_table_holds_its_rules_of_severity_error_and_lets_nulls_pass() -> None:
    condition = check(contract("pega.case_silver"))
    assert "coalesce(`status` IN ('OPEN', 'IN_PROGRESS', 'RESOLVED', 'CLOSED'), true)" in condition
    assert "coalesce(`resolved_ts` >= `created_ts`, true)" in condition
    assert "coalesce(`reopen_count` >= 0, true)" in condition
    assert "updated_ts" not in condition.replace("resolved_ts", ""), "not_in_future hangs on the time of ingestion"
    assert "service_type" not in check(contract("jarvis.service_silver")), "a warning refuses no row"
    assert check(contract("jarvis.jarvis_bronze")) == ""
    assert add_check(TABLE, "a > 0") == "ALTER TABLE `c`.`s`.`t` ADD CONSTRAINT contract CHECK (a > 0)"


def test_a_rule_of_severity_stop_is_in_the_check_and_in_the_words_of_the_schema() -> None:
    assert "coalesce(`gcc_cd` IN ('1GSYD', " in check(contract("amdm.address_silver"))
    schema = producer_schema(of_system("amdm", Kind.BRONZE), of_system("amdm", Kind.SILVER))
    assert schema["properties"]["gcc_cd"]["examples"][0] == "1GSYD"


def test_a_pattern_of_severity_warning_refuses_no_message() -> None:
    def pattern(severity: Severity) -> object:
        rule = QualityRule(implementation="matches", severity=severity, arguments={"pattern": "^N"})
        noted = replace(EVENTS.column("note"), quality=(rule,))
        changed = replace(EVENTS, columns=tuple(noted if c.name == "note" else c for c in EVENTS.columns))
        return producer_schema(changed)["properties"]["note"].get("pattern")

    assert [pattern(severity) for severity in Severity] == ["^N", "^N", None]


def test_a_pattern_reaches_the_check_as_it_is_written() -> None:
    assert "`postcode` RLIKE '^[0-9]{4}$'" in check(contract("amdm.address_silver"))


def test_a_table_says_whose_it_is_and_what_its_key_is() -> None:
    made = create_table(contract("cmdm.customer_history"), TABLE)
    assert "'contract.key' = 'customer_id,updated_ts,_row_hash', 'contract.owner' = 'customer-mastering', 'contract.version' = '" in made


def test_every_column_of_personal_data_is_tagged_with_the_kind_that_masks_it() -> None:
    tags = column_tags(load_contracts())
    silver = contract("cmdm.customer_silver")
    place = {"layer": silver.layer, "dataset": silver.name, "column": "email"}
    assert ColumnTag(**place, key="classification", value="pii") in tags
    assert ColumnTag(**place, key="pii", value="email") in tags
    personal = {(d.name, c.name) for d in load_contracts() for c in d.columns if c.classification == "pii"}
    assert personal == {(tag.dataset, tag.column) for tag in tags if tag.key == "pii"}


def test_there_is_one_mask_for_each_kind_and_type_and_one_group_that_sees_through_it() -> None:
    made = masks(load_contracts())
    assert len({(mask.pii, mask.column_type) for mask in made}) == len({mask.function for mask in made}) == len(made)
    assert {"mask_email", "mask_name", "mask_phone", "mask_address", "mask_hash", "mask_text", "mask_text_array_string"} == {
        mask.function for mask in made
    }
    assert {mask.except_group for mask in made} == {CLEAR_GROUP} <= set(GROUPS)


def test_assets_are_named_apart_and_by_no_environment() -> None:
    made = [asset(dataset) for dataset in EVERY.values()]
    assert len({one.name for one in made}) == len({one.uri for one in made}) == len(made)
    assert asset(contract("cmdm.customer_silver")).uri == "x-lakehouse://curated/cmdm/customer_silver"
    assert asset(EVENTS).name == "topic.sfdc.contact_events"


def test_a_step_waits_for_what_it_reads_and_tells_what_it_brought_up_to_date() -> None:
    silver = step_assets("silver_standardize", {"system": "cmdm"})
    assert [one.name for one in silver.inlets] == ["raw.cmdm.cmdm_bronze"]
    assert {one.name for one in silver.outlets} == {
        "raw.cmdm.cmdm_quarantine",
        "curated.cmdm.customer_silver",
        "curated.cmdm.customer_history",
    }
    gold = step_assets("gold_marts", {})
    assert {one.name for one in gold.outlets} == {asset(dataset).name for dataset in load_contracts() if dataset.kind is Kind.MART}
    assert step_assets("migrate", {}) == StepAssets()


def test_every_asset_that_a_step_of_the_daily_run_reads_was_brought_up_to_date_by_one_before() -> None:
    told: set[str] = set()
    for step in daily_steps():
        found = step_assets(step["job"], step["parameters"])
        assert {one.name for one in found.inlets} <= told, step
        assert found.outlets or step["job"] == "migrate"
        told |= {one.name for one in found.outlets}


def test_consumers_are_found_through_everything_made_from_a_dataset() -> None:
    told = consumers_of("pega.pega_bronze", EVERY.values())
    assert told[0] in {"pega.case_silver", "pega.pega_quarantine"}
    assert {"operations.case_metrics", "customer.customer_360", "operations dashboard", "MT-analyst-readers"} <= set(told)
    assert "sfdc.contact_silver" not in told


def test_what_the_code_of_the_marts_reads_is_what_their_contracts_are_made_from() -> None:
    folder = Path(__file__).parents[2] / "workloads/lakehouse/gold"
    read = {name for file in folder.glob("*.py") for name in re.findall(r'"((?:jarvis|amdm|pega|cmdm|sfdc)\.\w+)"', file.read_text())}
    silver = {dataset.name for dataset in load_contracts() if dataset.kind is Kind.SILVER}
    inputs = {name for dataset in load_contracts() if dataset.kind is Kind.MART for name in dataset.inputs}
    assert silver & inputs <= read <= inputs


def test_a_page_shows_columns_rules_objectives_and_consumers() -> None:
    page = generated(EVERY)["docs/contracts/pega.md"]
    assert "| status | STRING | no | internal | error: valid_values (OPEN, IN_PROGRESS, RESOLVED, CLOSED), case-management |" in page
    assert (
        "readable within 1 hour (p95), every 1 day, 1 to 10,000,000 rows a delivery, at most 3 % of a batch in error, kept 7 years" in page
    )
    assert (
        "- monitored: every 1 day: pass_rate_pct at least 99 (gate 97), error_rate_pct at most 3, freshness_p95_seconds at most 3600, "
        in page
    )
    assert "refers to cmdm.customer_silver.customer_id" in page
    assert re.search(r"- consumers: .*operations\.case_metrics", page)
    assert "| [pega.case_silver](contracts/pega.md#pegacase_silver) |" in generated(EVERY)["docs/contracts.md"]
