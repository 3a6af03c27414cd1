"""The contracts, and what the loader says of broken ones."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from lakehouse.contracts import SYSTEMS, ContractError, Kind, Layer, Severity, UnknownDataset, contract, load_contracts, of_system
from lakehouse.contracts.document import RULES, read_document
from lakehouse.contracts.masks import column_tags, masks

GOOD = """
apiVersion: v3.1.0
kind: DataContract
id: urn:x
version: 1.2.3
status: active
domain: pega
customProperties:
  - {property: layer, value: curated}
  - {property: kind, value: silver}
  - {property: source, value: pega.pega_bronze}
  - {property: sequence, value: at}
roles: [{role: data_engineering, access: write}]
schema:
  - name: thing
    physicalName: thing
    properties:
      - {name: id, physicalType: STRING, required: true, primaryKey: true}
      - {name: at, physicalType: TIMESTAMP}
      - name: word
        physicalType: STRING
        quality: [{type: library, metric: invalidValues, arguments: {validValues: [A, B]}, severity: warning}]
        customProperties: [{property: rowFilter, value: region}]
"""


def read(text: str) -> object:
    return read_document(text, file="domains/pega/thing.yaml", system="pega")


def test_every_system_has_bronze_silver_and_quarantine() -> None:
    for system in SYSTEMS:
        bronze = of_system(system, Kind.BRONZE)
        assert (bronze.layer, bronze.name) == (Layer.RAW, f"{system}.{system}_bronze")
        assert of_system(system, Kind.QUARANTINE).name == f"{system}.{system}_quarantine"
        assert of_system(system, Kind.SILVER).source == bronze.name


def test_the_tables_of_the_blueprint_are_declared() -> None:
    names = {f"{dataset.layer}.{dataset.name}" for dataset in load_contracts()}
    assert {
        "curated.amdm.address_silver",
        "curated.cmdm.customer_silver",
        "curated.jarvis.service_silver",
        "curated.pega.case_silver",
        "curated.sfdc.contact_silver",
        "marts.customer.dim_customer",
        "marts.customer.dim_customer_scd2",
        "marts.operations.case_metrics",
    } <= names


def test_analysts_read_marts_alone_and_no_personal_data_there_is_without_a_mask() -> None:
    analysts = {"analyst_readers", "MT-analyst-readers"}
    read = [dataset for dataset in load_contracts() if analysts & set(dataset.reader_groups)]
    assert {(dataset.layer, dataset.schema_name) for dataset in read} == {(Layer.MARTS, "operations"), (Layer.MARTS, "customer")}
    values = {mask.tag_value for mask in masks(read)}
    personal = {(dataset.name, column.name) for dataset in read for column in dataset.columns if column.classification == "pii"}
    masked = {(tag.dataset, tag.column) for tag in column_tags(read) if tag.key == "pii" and tag.value in values}
    assert personal
    assert personal == masked


def test_raw_is_read_by_data_engineering_alone() -> None:
    assert {d.reader_groups for d in load_contracts() if d.layer is Layer.RAW} == {("data_engineering",)}


def test_a_good_contract_is_read_whole() -> None:
    dataset = read_document(GOOD, file="f", system="pega")
    assert (dataset.version, dataset.key, dataset.sequence) == ("1.2.3", ("id",), "at")
    word = dataset.column("word").quality[0]
    assert (word.implementation, word.severity, word.arguments["validValues"]) == ("valid_values", Severity.WARNING, ["A", "B"])
    assert next(column.name for column in dataset.columns if column.platform) == "_row_hash"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("required: true", "requird: true", r"schema\.0\.properties\.0\.requird: is no field of the Open Data Contract Standard"),
        ("required: true", "required: often", r"schema\.0\.properties\.0\.required: Input should be a valid boolean"),
        ("physicalType: TIMESTAMP", "physicalType: DATETIME", r"properties\.1\.physicalType: 'DATETIME' is no type we map"),
        ("role: data_engineering", "role: jane@example.com", r"roles\.0\.role: 'jane@example\.com' is no account group"),
        ("access: write", "access: own", r"roles\.0\.access: must be read or write, is 'own'"),
        ("version: 1.2.3", "version: '1'", r"version: must be major\.minor\.patch"),
        ("apiVersion: v3.1.0", "apiVersion: v2.2.0", r"apiVersion: must be v3\.x"),
        ("value: curated", "value: golden", r"customProperties\.layer: 'golden' is not one of raw, curated, marts, ai"),
        ("value: at", "value: when", r"customProperties\.sequence: names no column: 'when'"),
        ("severity: warning", "severity: mild", r"quality\.0\.severity: 'mild' is not one of stop, error, warning"),
        ("metric: invalidValues", "metric: rowCount", r"quality\.0: must be \{type: custom"),
        ("value: region", "value: suburb", r"properties\.2\.customProperties\.rowFilter: 'suburb' is not one of region"),
        ("property: rowFilter", "property: filter", r"properties\.2\.customProperties: 'filter' is not one of ours: rowFilter"),
        (
            "required: true, primaryKey: true",
            "customProperties: [{property: rowFilter, value: region}]",
            r"schema\.0\.properties: id and word both have a rowFilter; a table has one at most",
        ),
        ("name: word", "name: id", r"schema\.0\.properties: column 'id' is declared twice"),
        ("apiVersion", "\tapiVersion", "not YAML"),
    ],
)
def test_a_broken_contract_is_refused_with_file_and_key(old: str, new: str, said: str) -> None:
    with pytest.raises(ContractError, match=rf"^domains/pega/thing\.yaml: .*{said}"):
        read(GOOD.replace(old, new, 1))


def test_an_unknown_rule_names_the_nearest_one() -> None:
    text = GOOD.replace("type: library, metric: invalidValues", "type: custom, engine: lakehouse, implementation: valid_emial")
    with pytest.raises(ContractError, match=r"no rule is called 'valid_emial'\. Did you mean valid_email\?"):
        read(text)


def test_an_unknown_dataset_names_the_nearest_one_and_where_it_is_declared() -> None:
    with pytest.raises(UnknownDataset) as raised:
        contract("pega.cases")
    assert str(raised.value) == "pega.cases is not declared. Did you mean pega.case_silver? See contracts/domains/pega/"


def test_an_unknown_system_names_the_known_ones() -> None:
    with pytest.raises(UnknownDataset, match="sdfc is no source system. Did you mean sfdc"):
        of_system("sdfc", Kind.BRONZE)


def test_the_rules_contracts_may_name_are_the_rules_that_exist() -> None:
    source = Path(__file__).parents[2] / "workloads/lakehouse/quality/rules.py"
    assigned = next(
        node for node in ast.parse(source.read_text()).body if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "RULES"
    )
    assert isinstance(assigned.value, ast.Dict)
    assert {ast.literal_eval(key) for key in assigned.value.keys if key} == RULES
