"""A pipeline's own directory, `dbfs:/pipelines/<id>`: the progress of its streams."""

from __future__ import annotations

import shutil
from pathlib import Path

from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.errors import ApiError
from local_estate.api.services.pipelines import models
from local_estate.api.services.pipelines.models import PIPELINE


def storage(estate: Estate, *, principal_id: str, workspace_id: int, path: str, operation: str) -> dict[str, str]:
    """The question `pipelines.storage`: where `/pipelines/<id>/…` lies, for whom the pipeline runs as and for nobody else."""
    parts = [part for part in path.split("/") if part]
    found = estate.store.read.get(PIPELINE, models.key(workspace_id, parts[1])) if len(parts) > 1 else None
    if found is None or found["run_as_id"] != principal_id or ".." in parts:
        raise ApiError("PERMISSION_DENIED", f"Public DBFS root is disabled. Access is denied on path: {path}")
    directory = _directory(estate, parts[1])
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return {
        "prefix": f"/pipelines/{parts[1]}",
        "local_prefix": str(directory),
        "securable_type": "PIPELINE",
        "full_name": parts[1],
        "path": "/" + "/".join(parts),
        "local_path": str(directory.joinpath(*parts[2:])),
    }


def discard(estate: Estate, pipeline_id: str) -> None:
    """With the pipeline; a table that outlives it has nobody to go on with it."""
    shutil.rmtree(_directory(estate, pipeline_id), ignore_errors=True)


def _directory(estate: Estate, pipeline_id: str) -> Path:
    return estate.paths.home / "pipelines" / pipeline_id
