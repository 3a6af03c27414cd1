"""What ends an update, in words for whoever is on call."""

from __future__ import annotations


class PipelineError(Exception):
    """The pipeline's source or its tables are wrong; the message says where and what to do."""


class NotSupported(PipelineError):
    """Databricks has it and the local estate has not."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the local estate does not support {what}")


class UpdateFailed(Exception):
    """Some flows failed; the event log has each one's error."""
