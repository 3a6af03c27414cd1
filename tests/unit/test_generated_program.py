"""The Python that `pulumi import` prints, from what the engine's importer writes."""

from __future__ import annotations

import ast

import pytest

from local_estate.engine.language_host.generated_program import NotUnderstood, python_name, python_of

IMPORTED = """
package "azure-native" {
    baseProviderName = "azure-native"
    parameterization { name = "x" }
}
resource "landing" "azure-native:storage:StorageAccount" {
    __logicalName = "landing-zone"
    accountName = "stlanding"
    enableHttpsTrafficOnly = true
    resourceGroupName = rg.name
    sku = {
        name = "Standard_LRS",
    }
    tags = {
        "COST_CENTER" = "MT-4200"
        "say \\"hi\\"" = "a\\n$${b}"
    }
    options {
        protect = true
        import = "/subscriptions/s"
    }
}
resource rg "azure-native:resources:ResourceGroup" { location = "australiaeast" }
resource "etl" "databricks:index/job:Job" {
    maxConcurrentRuns = 1
    tasks = [{ taskKey = "migrate", notebookTask = { baseParameters = { "rawCatalog" = "dev_ep_raw" } } }]
    password = secret("x")
}
"""


WRITTEN = """\
import pulumi
import pulumi_azure_native as azure_native
import pulumi_databricks as databricks

rg = azure_native.resources.ResourceGroup(
    "rg",
    location="australiaeast",
)

landing = azure_native.storage.StorageAccount(
    "landing-zone",
    account_name="stlanding",
    enable_https_traffic_only=True,
    resource_group_name=rg.name,
    sku={"name": "Standard_LRS"},
    tags={"COST_CENTER": "MT-4200", "say \\"hi\\"": "a\\n${b}"},
    opts=pulumi.ResourceOptions(protect=True),
)

etl = databricks.Job(
    "etl",
    max_concurrent_runs=1,
    tasks=[{"task_key": "migrate", "notebook_task": {"base_parameters": {"rawCatalog": "dev_ep_raw"}}}],
    password=pulumi.Output.secret("x"),
)
"""


def test_resources_are_declared_in_the_sdks_words_after_what_they_refer_to_and_keys_of_maps_stay() -> None:
    written = python_of({"main.pp": IMPORTED})
    ast.parse(written)
    assert written == WRITTEN


@pytest.mark.parametrize(
    ("wire", "python"),
    [("isHnsEnabled", "is_hns_enabled"), ("enableNFSV3", "enable_nfsv3"), ("lambda", "lambda_")],
)
def test_names_are_the_sdks(wire: str, python: str) -> None:
    assert python_name(wire) == python


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('config "size" "int" {}', "only resources are written as code"),
        ('resource a "b:c:D" { x = "${y}" }', "text with an expression inside"),
        ("resource a \"b:c:D\" { x = range(3) }", "the function range is not known"),
        ('resource a "b:c:D" { x = [1', "it ends in the middle"),
        ('resource a "b:c:D" { x = <<EOT\nEOT\n }', "is not known"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(text: str, said: str) -> None:
    with pytest.raises(NotUnderstood, match=said):
        python_of({"main.pp": text})
