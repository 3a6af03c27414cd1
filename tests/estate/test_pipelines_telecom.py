"""The deployed pipeline `telecom`: one update on day 1's landing files, as its service principal."""

from __future__ import annotations

from databricks.sdk.service.pipelines import UpdateInfoState

from local_estate.day.run import StepResult
from tests.estate.conftest import Deployed
from tests.pipelines_client import ended, flows


def test_one_update_fills_three_layers_and_counts_what_it_expected(deployed: Deployed, day_one: list[StepResult]) -> None:
    pipeline_id = deployed.outputs["pipeline_ids"]["telecom"]
    started = deployed.workspace.pipelines.start_update(pipeline_id)
    update = ended(deployed.workspace, pipeline_id, started.update_id)
    found = flows(deployed.workspace, pipeline_id, started.update_id)
    assert update.state is UpdateInfoState.COMPLETED, found
    assert {each["status"] for each in found.values()} == {"COMPLETED"}

    counts = deployed.counts()
    taken = found["dev_ep_raw.telecom.customer_changes"]["metrics"]["num_output_rows"]
    assert taken == counts["dev_ep_raw.cmdm.cmdm_bronze"], "the jobs and the pipeline read the same landing files"
    quality = found["dev_ep_curated.telecom.customer_events"]["data_quality"]
    expectations = {each["name"]: each for each in quality["expectations"]}
    assert {each["passed_records"] + each["failed_records"] for each in expectations.values()} == {taken}
    assert expectations["valid_email"]["failed_records"] > 0
    kept = found["dev_ep_curated.telecom.customer_events"]["metrics"]["num_output_rows"]
    assert kept == taken - quality["dropped_records"]
    # A row in quarantine is one that some expectation dropped: both follow from the same contract.
    services = found["dev_ep_curated.telecom.service_events"]["data_quality"]["dropped_records"]
    assert counts["dev_ep_raw.telecom.rejected_rows"] == quality["dropped_records"] + services
    assert counts["dev_ep_curated.telecom.service_current"] == counts["dev_ep_curated.jarvis.service_silver"]
