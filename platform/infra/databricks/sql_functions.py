"""SQL functions of Unity Catalog: one file each in `sql/functions/<layer>/<schema>/<function>.sql`, made by our own provider."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi

from infra.errors import Refused

FOLDER = Path(__file__).resolve().parents[3] / "sql" / "functions"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_COMMENT_LINE = re.compile(r"^\s*--[^\n]*\n", re.MULTILINE)


class SqlObjects(pulumi.ProviderResource):
    """`platform/provider`, which reaches the workspace by its host and runs statements on one of its warehouses."""

    def __init__(
        self,
        name: str,
        *,
        host: pulumi.Input[str],
        azure_workspace_resource_id: pulumi.Input[str],
        warehouse_id: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        given = {"host": host, "azureWorkspaceResourceId": azure_workspace_resource_id, "warehouseId": warehouse_id}
        super().__init__("sqlobjects", name, given, opts)


class SqlFunction(pulumi.CustomResource):
    """`statement` is the whole CREATE OR REPLACE FUNCTION of `full_name`."""

    def __init__(self, resource_name: str, *, full_name: str, statement: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("sqlobjects:index:SqlFunction", resource_name, {"fullName": full_name, "statement": statement}, opts)


@dataclass(frozen=True, kw_only=True, order=True)
class FunctionFile:
    """A file of the folder. The path says where the function lands; the text names catalogs as {raw}, {curated}, {marts} or {ai}."""

    layer: str
    schema: str
    name: str
    text: str

    def full_name(self, catalogs: Mapping[str, str]) -> str:
        return f"{catalogs[self.layer]}.{self.schema}.{self.name}"

    def statement(self, catalogs: Mapping[str, str]) -> str:
        """Without the file's comments and last semicolon. Raises Refused for a placeholder that is no layer."""

        def catalog(found: re.Match[str]) -> str:
            if found[1] not in catalogs:
                known = ", ".join(f"{{{layer}}}" for layer in catalogs)
                raise Refused(f"sql/functions/{self.layer}/{self.schema}/{self.name}.sql: names {found[0]}. Fix: use one of {known}")
            return f"`{catalogs[found[1]]}`"

        return _PLACEHOLDER.sub(catalog, _COMMENT_LINE.sub("", self.text)).strip().removesuffix(";").strip()


def function_files(folder: Path = FOLDER) -> tuple[FunctionFile, ...]:
    """Every function of the checkout, in the order of their paths."""
    return tuple(
        FunctionFile(layer=file.parts[-3], schema=file.parts[-2], name=file.stem, text=file.read_text(encoding="utf-8"))
        for file in sorted(folder.glob("*/*/*.sql"))
    )
