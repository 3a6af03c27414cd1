"""Programs, policy packs and path plugins, started by the language host for the real engine."""

from __future__ import annotations

import json
import os
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from local_estate.engine.errors import PolicyViolated, StackFailed
from local_estate.engine.policy_environment import policy_environment
from local_estate.engine.stacks import PolicyPack
from local_estate.paths import REPOSITORY
from tests.estate.engine_fixtures import TINY, Project, project  # noqa: F401  a fixture


def test_a_programs_error_is_shown_once_and_names_the_line(project: Project) -> None:  # noqa: F811
    project.program("import pulumi\n\npulumi.log.info('begun')\nraise LookupError('no such domain')\n")
    with pytest.raises(StackFailed) as caught:
        project.stacks.preview("dev")
    message = str(caught.value)
    assert message.count("LookupError: no such domain") == 1
    assert '__main__.py", line 4' in message
    assert "run_program.py" not in message
    assert "begun" in project.said.getvalue()


def test_a_syntax_error_is_shown_without_the_runners_frames(project: Project) -> None:  # noqa: F811
    project.program("def broken(:\n")
    with pytest.raises(StackFailed, match=r'__main__.py", line 1') as caught:
        project.stacks.preview("dev")
    assert "importlib" not in str(caught.value)


def test_what_a_program_prints_reaches_the_reader(project: Project) -> None:  # noqa: F811
    project.program("import sys\nprint('to stdout')\nprint('to stderr', file=sys.stderr)\n")
    project.stacks.preview("dev")
    assert "to stdout" in project.said.getvalue()
    assert "to stderr" in project.said.getvalue()


def test_a_program_has_its_arguments_folder_and_stack(project: Project) -> None:  # noqa: F811
    project.program(
        """
        import beside
        import pulumi

        pulumi.export("beside", beside.VALUE)
        pulumi.export("stack", f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}")
        """
    )
    (project.directory / "program" / "beside.py").write_text("VALUE = 'found'\n")
    project.stacks.up("dev")
    assert project.stacks.outputs("dev") == {"beside": "found", "stack": "organization/tiny/dev"}


def test_a_missing_virtual_environment_is_named(project: Project) -> None:  # noqa: F811
    project.program("")
    project.settings(virtualenv=project.directory / "nowhere")
    with pytest.raises(StackFailed, match=r"nowhere does not exist.*make up"):
        project.stacks.preview("dev")


def test_our_pack_denies_a_weak_storage_account_at_preview(project: Project) -> None:  # noqa: F811
    policy_environment(project.paths)
    project.program(
        """
        from pulumi_azure_native import storage

        storage.StorageAccount(
            "landing", account_name="stlanding", resource_group_name="rg", kind="StorageV2", sku={"name": "Standard_LRS"},
            enable_https_traffic_only=True, minimum_tls_version="TLS1_0",
        )
        """
    )
    with pytest.raises(PolicyViolated) as caught:
        project.stacks.preview("dev", [PolicyPack.of(project.paths, "dev")])
    [denial] = caught.value.diagnostics
    assert "[ST-01] landing: minimumTlsVersion is 'TLS1_0', must be TLS1_2 or TLS1_3" in denial
    assert "Fix: set minimumTlsVersion to TLS1_2" in denial


def test_our_pack_lets_a_network_through_that_is_known_only_later(project: Project) -> None:  # noqa: F811
    policy_environment(project.paths)
    project.program(
        """
        from pulumi_azure_native import databricks, resources

        group = resources.ResourceGroup("network")
        databricks.Workspace(
            "workspace", resource_group_name="rg", managed_resource_group_id="/subscriptions/s/resourceGroups/m",
            parameters={
                "enable_no_public_ip": {"value": True}, "custom_virtual_network_id": {"value": group.id},
                "custom_public_subnet_name": {"value": "public"}, "custom_private_subnet_name": {"value": "private"},
            },
        )
        """
    )
    summary = project.stacks.preview("dev", [PolicyPack.of(project.paths, "dev")])
    assert summary.created == 3
    assert summary.policies_not_run == ()


def test_a_pack_runs_in_the_environment_it_names_and_sees_the_stack(project: Project, tmp_path: Path) -> None:  # noqa: F811
    environment = policy_environment(project.paths)
    pack = tmp_path / "probe"
    pack.mkdir()
    virtualenv = os.path.relpath(environment, pack)
    (pack / "PulumiPolicy.yaml").write_text(
        f"name: probe\nruntime: {{name: python, options: {{toolchain: pip, virtualenv: {virtualenv}}}}}\n"
    )
    (pack / "__main__.py").write_text(
        textwrap.dedent(
            """
            import os, sys
            import pulumi
            from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy

            def probe(args, report):
                config = pulumi.Config("tiny").require("colour")
                report(f"{os.environ['PULUMI_STACK']} {pulumi.get_project()} {pulumi.get_stack()} {config} {sys.prefix}", None)

            PolicyPack("probe", [ResourceValidationPolicy("probe", "What a pack sees", probe)], EnforcementLevel.ADVISORY)
            """
        )
    )
    project.program("")
    project.stacks.ensure("dev")
    with (project.directory / "Pulumi.dev.yaml").open("a") as file:
        file.write("config: {'tiny:colour': blue}\n")
    summary = project.stacks.preview("dev", [PolicyPack(directory=pack)])
    assert summary.advisories
    assert f"dev tiny dev blue {environment}" in summary.advisories[0]


def test_a_path_plugin_starts_in_its_environment(project: Project) -> None:  # noqa: F811
    plugin = project.directory / "plugin"
    plugin.mkdir()
    virtualenv = os.path.relpath(REPOSITORY / ".venv", plugin)
    (plugin / "PulumiPlugin.yaml").write_text(f"runtime: {{name: python, options: {{toolchain: pip, virtualenv: {virtualenv}}}}}\n")
    (plugin / "__main__.py").write_text(
        f"import os, sys\nsys.path.insert(0, os.environ['ESTATE_REPOSITORY'])\nfrom {TINY} import main\nmain()\n"
    )
    project.settings("plugins: {providers: [{name: tiny, path: ./plugin}]}\n")
    project.program("import pulumi\npulumi.CustomResource('tiny:index:Thing', 'thing', {'colour': 'blue'})\n")
    assert project.stacks.up("dev").created == 2


WEAK_STORAGE = """
    from pulumi_azure_native import storage

    storage.StorageAccount(
        "landing", account_name="stlanding", resource_group_name="rg", kind="StorageV2", sku={"name": "Standard_LRS"},
        enable_https_traffic_only=True, minimum_tls_version="TLS1_0",
    )
    """


def test_an_exemption_lets_its_one_resource_through(project: Project, tmp_path: Path) -> None:  # noqa: F811
    policy_environment(project.paths)
    committed = PolicyPack.of(project.paths, "dev")
    assert committed.config is not None
    settings = json.loads(committed.config.read_text())
    exemption = {"reason": "r", "ticket": "MT-1", "approver": "a", "expiry": "2999-01-01"}
    exemption["urn"] = "urn:pulumi:dev::tiny::azure-native:storage:StorageAccount::landing"
    settings["st-01-minimum-tls"] = {"enforcementLevel": "mandatory", "exemptions": [exemption]}
    config = tmp_path / "dev.json"
    config.write_text(json.dumps(settings))
    project.program(WEAK_STORAGE)
    assert project.stacks.preview("dev", [replace(committed, config=config)]).created == 2
    project.program(WEAK_STORAGE.replace('"landing",', '"another",'))
    with pytest.raises(PolicyViolated, match="another: minimumTlsVersion"):
        project.stacks.preview("dev", [replace(committed, config=config)])


def test_our_pack_without_its_allow_list_does_not_run_at_all(project: Project) -> None:  # noqa: F811
    policy_environment(project.paths)
    project.program("")
    with pytest.raises(StackFailed, match="allowedGroups is required"):
        project.stacks.preview("dev", [PolicyPack(directory=REPOSITORY / "policies")])


def test_a_policy_that_meets_an_unknown_value_is_counted_and_the_up_decides(project: Project) -> None:  # noqa: F811
    policy_environment(project.paths)
    project.program(
        """
        import pulumi
        from pulumi_azure_native import resources, storage

        group = resources.ResourceGroup("group")
        storage.StorageAccount(
            "landing", account_name="stlanding", resource_group_name="rg", kind="StorageV2", sku={"name": "Standard_LRS"},
            enable_https_traffic_only=True, minimum_tls_version=group.id.apply(lambda found: "TLS1_1"),
        )
        """
    )
    pack = PolicyPack.of(project.paths, "dev")
    [not_run] = project.stacks.preview("dev", [pack]).policies_not_run
    assert "can't run policy 'st-01-minimum-tls'" in not_run
    with pytest.raises(PolicyViolated, match="minimumTlsVersion is 'TLS1_1'"):
        project.stacks.up("dev", [pack])


def test_a_pack_that_does_not_start_says_why(project: Project, tmp_path: Path) -> None:  # noqa: F811
    environment = policy_environment(project.paths)
    pack = tmp_path / "broken"
    pack.mkdir()
    virtualenv = os.path.relpath(environment, pack)
    (pack / "PulumiPolicy.yaml").write_text(
        f"name: broken\nruntime: {{name: python, options: {{toolchain: pip, virtualenv: {virtualenv}}}}}\n"
    )
    (pack / "__main__.py").write_text("import no_such_module\n")
    project.program("")
    with pytest.raises(StackFailed, match="No module named 'no_such_module'"):
        project.stacks.preview("dev", [PolicyPack(directory=pack)])
