"""The preview report with the real engine and the tiny provider."""

from __future__ import annotations

import json

from local_estate.engine.policy_environment import policy_environment
from local_estate.engine.stacks import PolicyPack
from tests.estate.engine_fixtures import Project, project  # noqa: F401  a fixture

PROGRAM = """
    import pulumi
    from pulumi_azure_native import resources, storage

    group = resources.ResourceGroup("group", resource_group_name="rg-tiny", location="australiaeast", tags={"colour": "blue"})
    storage.StorageAccount(
        "landing", account_name="stlanding", resource_group_name="rg-tiny", kind="StorageV2", sku={"name": "Standard_LRS"},
        enable_https_traffic_only=True, minimum_tls_version="TLS1_2", tags={"key": pulumi.Output.secret("a-secret-value")},
    )
    pulumi.export("group", group.id)
    """


def test_a_preview_tells_each_step_and_leaves_nothing_behind(project: Project) -> None:  # noqa: F811
    project.program(PROGRAM)
    new = project.stacks.preview_report("dev")
    assert {(step.op, step.name) for step in new.steps} == {("create", "group"), ("create", "landing"), ("create", "tiny-dev")}
    assert project.stacks.names() == []
    project.stacks.up("dev")
    assert project.stacks.preview_report("dev", expect_no_changes=True).result == "no changes"
    project.program(PROGRAM.replace('"blue"', '"green"').replace("a-secret-value", "another-secret-value"))
    changed = project.stacks.preview_report("dev", refresh=True, expect_no_changes=True)
    assert changed.exit_code == 4
    [step] = [step for step in changed.steps if step.name == "group"]
    assert [(each.path, each.old, each.new) for each in step.detailed_diff] == [("tags.colour", "blue", "green")]
    assert "secret-value" not in json.dumps(changed.as_json()) + project.said.getvalue()


def test_a_preview_that_is_denied_or_fails_is_a_report_that_says_so(project: Project) -> None:  # noqa: F811
    policy_environment(project.paths)
    packs = [PolicyPack.of(project.paths, "dev")]
    project.program(PROGRAM.replace("TLS1_2", "TLS1_0"))
    denied = project.stacks.preview_report("dev", packs)
    [finding] = denied.verdicts("denied")
    assert (denied.exit_code, denied.errors) == (3, ())
    assert "minimumTlsVersion is 'TLS1_0', must be TLS1_2 or TLS1_3" in finding.message
    project.program(PROGRAM + '\n    raise pulumi.RunError("this program refuses")\n')
    failed = project.stacks.preview_report("dev")
    assert (failed.exit_code, failed.errors) == (1, ("this program refuses",))
    assert project.stacks.names() == []
