"""A resource type as a provider handles it, in plain Python values. The engine's protocol is `server.py`'s business."""

from __future__ import annotations

import hashlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local_estate.providers.changes import unchanged
from local_estate.providers.checking import Failure
from local_estate.providers.creations import Creations
from local_estate.providers.failures import Refused
from local_estate.providers.schemas import TypeSchema

Values = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Naming:
    """What a name may be made of: the resource's logical name, the engine's seed, a configured autoname ("" if none)."""

    logical: str
    seed: bytes
    proposed: str = ""
    disabled: bool = False

    def hexadecimal(self, digits: int) -> str:
        return hashlib.sha256(self.seed + self.logical.encode()).hexdigest()[:digits]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What an operation acts for. `timeout` in seconds, 0 for the default; `cancelled` is set when the engine gives up."""

    urn: str
    creations: Creations
    cancelled: threading.Event
    timeout: float = 0.0


class Kind(ABC):
    """One resource type. Inputs and outputs have the SDK's wire names and carry neither secrets nor unknowns."""

    lenient = False
    delete_before_replace = False
    computed: frozenset[str] = frozenset()  # inputs the service decides when the program does not: never drift then
    derived: frozenset[str] = frozenset()  # inputs that an import does not state: they follow from others or from the service

    def __init__(self, schema: TypeSchema) -> None:
        self.schema = schema

    def complete(self, inputs: Values, olds: Mapping[str, Any], naming: Naming) -> Values:
        """Check: the inputs with names and defaults filled in. Values may be UNKNOWN or Secret here."""
        return inputs

    def mistakes(self, inputs: Mapping[str, Any]) -> Sequence[Failure]:
        """Check: what the types alone cannot tell. Values may be UNKNOWN."""
        return ()

    def normalise(self, path: str, value: Any) -> Any:
        """The form in which a value is compared; `path` has no list indices."""
        return unchanged(path, value)

    @abstractmethod
    def replaces(self, path: str) -> bool:
        """Whether a change at this path (no list indices) needs a new object."""

    def foresee(self, inputs: Values) -> Values:
        """Outputs of a creation as a preview knows them; what is left out counts as unknown."""
        return dict(inputs)

    def foresee_update(self, before: Values, inputs: Values, outputs: Values) -> Values:
        """Outputs after an update as a preview knows them. `before` are the recorded inputs, `outputs` the recorded state.

        As bridged Terraform providers: what the service decides stays as it is, what the program no longer states is unknown.
        """
        return {**{name: value for name, value in outputs.items() if name not in before or name in inputs}, **self.foresee(inputs)}

    @abstractmethod
    def create(self, operation: Operation, inputs: Values) -> tuple[str, Values]:
        """Makes the object (or adopts what an interrupted creation left) and returns id and outputs as read back."""

    @abstractmethod
    def read(self, identifier: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> tuple[str, Values] | None:
        """Id and outputs, or None when the object is gone. Inputs and outputs are empty on import."""

    @abstractmethod
    def update(self, operation: Operation, identifier: str, before: Values, inputs: Values, outputs: Values) -> Values:
        """`before` are the recorded inputs, `outputs` the recorded state."""

    @abstractmethod
    def delete(self, operation: Operation, identifier: str, inputs: Values, outputs: Values) -> None:
        """What is already gone counts as deleted."""

    def imported(self, identifier: str, outputs: Mapping[str, Any], inputs: Values) -> Values:
        """On import: `inputs` are what the outputs say could have been written; a kind adds and drops."""
        return inputs


class Unsupported(Kind):
    """A type the SDK has and the local estate does not: its inputs are checked, then it is refused by name."""

    lenient = True

    @property
    def _refusal(self) -> str:
        return f"the local estate does not support the resource type {self.schema.token}"

    def mistakes(self, inputs: Mapping[str, Any]) -> Sequence[Failure]:
        return [Failure(property="", reason=self._refusal)]

    def replaces(self, path: str) -> bool:
        return False

    def create(self, operation: Operation, inputs: Values) -> tuple[str, Values]:
        raise Refused(self._refusal)

    def read(self, identifier: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> tuple[str, Values] | None:
        raise Refused(self._refusal)

    def update(self, operation: Operation, identifier: str, before: Values, inputs: Values, outputs: Values) -> Values:
        raise Refused(self._refusal)

    def delete(self, operation: Operation, identifier: str, inputs: Values, outputs: Values) -> None:
        raise Refused(self._refusal)


class Provider(ABC):
    """A package of kinds. Configuration values may be UNKNOWN in `check_config`, never later."""

    name: str
    version: str

    def __init__(self) -> None:
        self.creations = Creations()
        self.cancelled = threading.Event()

    @abstractmethod
    def kind(self, token: str) -> Kind:
        """Raises Refused for a type it does not have, naming it."""

    def check_config(self, config: Values) -> Sequence[Failure]:
        return ()

    def unmanageable_after(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> Sequence[str]:
        """Configuration keys whose change makes the old objects unmanageable."""
        return ()

    @abstractmethod
    def configure(self, config: Values) -> None: ...

    @abstractmethod
    def invoke(self, token: str, arguments: Values) -> Values:
        """Raises Refused for a function it does not have, naming it."""

    @abstractmethod
    def tokens(self) -> Sequence[str]:
        """Every type it supports."""
