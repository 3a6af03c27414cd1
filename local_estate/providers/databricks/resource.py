"""What Databricks resource types share: create once, adopt what an interrupted creation left, read back, compare."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from local_estate.providers.databricks.connection import Connection
from local_estate.providers.databricks.names import from_api
from local_estate.providers.failures import MadeButNotReady, Refused, ReplyLost, ServiceError
from local_estate.providers.http import Session
from local_estate.providers.kinds import Kind, Naming, Operation, Values
from local_estate.providers.schemas import TypeSchema
from local_estate.providers.wire import UNKNOWN

Json = dict[str, Any]


class DatabricksResource(Kind):
    """One object of the API. Subclasses say how it is posted, found by name, shown, changed and removed."""

    lenient = True
    replaced: ClassVar[frozenset[str]] = frozenset()  # inputs whose change needs a new object
    input_only: ClassVar[frozenset[str]] = frozenset()  # steer the provider; the API never shows them
    defaults: ClassVar[Mapping[str, Any]] = {}  # what the API fills in: absent and this are the same
    autonamed: ClassVar[str] = ""  # the input that gets a name when it has none

    def __init__(self, schema: TypeSchema, connection: Callable[[], Connection], enum: Callable[[str], Sequence[str]]) -> None:
        super().__init__(schema)
        self._connect = connection
        self._enum = enum

    @property
    def connection(self) -> Connection:
        return self._connect()

    def session(self, inputs: Mapping[str, Any]) -> Session:
        """Of the workspace; kinds of the account override it."""
        return self.connection.workspace(str((inputs.get("providerConfig") or {}).get("workspaceId") or ""))

    # Check and Diff

    def complete(self, inputs: Values, olds: Mapping[str, Any], naming: Naming) -> Values:
        if not self.autonamed or inputs.get(self.autonamed) is not None or naming.disabled:
            return inputs
        made = olds.get(self.autonamed) or naming.proposed or f"{naming.logical}-{naming.hexadecimal(7)}"[-255:]
        return {**inputs, self.autonamed: made}

    def replaces(self, path: str) -> bool:
        return any(path == each or path.startswith(f"{each}.") for each in self.replaced)

    def normalise(self, path: str, value: Any) -> Any:
        if path.startswith("__") or path == "providerConfig":
            return None
        if path in self.defaults and value == self.defaults[path]:
            return None
        return value

    # Operations

    @abstractmethod
    def post(self, inputs: Values) -> str:
        """Creates and returns the id."""

    def named(self, inputs: Values) -> Sequence[str]:
        """Ids of the objects that bear the name these inputs give."""
        return ()

    def name_of(self, inputs: Values) -> str:
        return str(inputs.get(self.autonamed or "name") or "")

    @abstractmethod
    def show(self, identifier: str, known: Mapping[str, Any]) -> Json | None:
        """The object as the API shows it (snake_case), or None. `known` are outputs or inputs; empty on import."""

    def finish(self, identifier: str, inputs: Values) -> None:
        """What a creation does after the POST: owners, for one. A failure leaves the object, incomplete."""

    @abstractmethod
    def change(self, identifier: str, before: Values, inputs: Values, outputs: Values) -> None: ...

    @abstractmethod
    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None: ...

    def outputs(self, identifier: str, shown: Json, known: Mapping[str, Any]) -> Values:
        """`known` (inputs, or recorded outputs) supplies what is input only, and by which workspace the object is reached."""
        return {**{name: known[name] for name in (*self.input_only, "providerConfig") if name in known}, **from_api(self.schema, shown)}

    def create(self, operation: Operation, inputs: Values) -> tuple[str, Values]:
        identifier = self._left_behind(operation, inputs)
        if identifier:
            operation.creations.made(operation.urn, identifier)
            self.change(identifier, inputs, inputs, self._state(identifier, inputs))
        else:
            identifier = self._post_once(operation, inputs)
        try:
            self.finish(identifier, inputs)
        except (ServiceError, ReplyLost, Refused) as error:
            raise MadeButNotReady(identifier, self._state(identifier, inputs), [str(error)]) from error
        return identifier, self._state(identifier, inputs)

    def _left_behind(self, operation: Operation, inputs: Values) -> str:
        """The id of what an earlier, interrupted creation of this very resource made; see `creations.py`."""
        left = operation.creations.of(operation.urn)
        if left is None:
            return ""
        if left.identifier:
            return left.identifier if self.show(left.identifier, inputs) is not None else ""
        if left.name != self.name_of(inputs):
            return ""
        ours = [each for each in self.named(inputs) if each not in left.before]
        return ours[0] if len(ours) == 1 else ""

    def _post_once(self, operation: Operation, inputs: Values) -> str:
        before = set(self.named(inputs))
        operation.creations.begin(operation.urn, self.name_of(inputs), before)
        try:
            identifier = self.post(inputs)
        except ReplyLost:
            ours = [each for each in self.named(inputs) if each not in before]
            if len(ours) > 1:
                raise
            identifier = ours[0] if ours else self.post(inputs)
        except ServiceError:
            operation.creations.end(operation.urn)
            raise
        operation.creations.made(operation.urn, identifier)
        return identifier

    def _state(self, identifier: str, known: Values) -> Values:
        shown = self.show(identifier, known)
        if shown is None:
            raise Refused(f"{self.schema.token} {identifier} was accepted and is not there", "ABORTED")
        return self.outputs(identifier, shown, known)

    def read(self, identifier: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> tuple[str, Values] | None:
        shown = self.show(identifier, outputs or inputs)
        return None if shown is None else (identifier, self.outputs(identifier, shown, {**inputs, **outputs}))

    def update(self, operation: Operation, identifier: str, before: Values, inputs: Values, outputs: Values) -> Values:
        self.change(identifier, before, inputs, outputs)
        return self._state(identifier, {**inputs})

    def delete(self, operation: Operation, identifier: str, inputs: Values, outputs: Values) -> None:
        try:
            self.remove(identifier, inputs, outputs)
        except ServiceError as error:
            if not self.is_missing(error):
                raise

    def is_missing(self, error: ServiceError) -> bool:
        return error.missing

    def imported(self, identifier: str, outputs: Mapping[str, Any], inputs: Values) -> Values:
        kept = {name: value for name, value in inputs.items() if self.defaults.get(name, UNKNOWN) != value}
        return {name: value for name, value in kept.items() if self.normalise(name, value) is not None}

    def found(self, request: Callable[[], Any]) -> Any:
        """The JSON of a GET, or None where the object is missing."""
        try:
            return request().json
        except ServiceError as error:
            if self.is_missing(error):
                return None
            raise


class DualResource(DatabricksResource):
    """Of the account where the provider knows one, else of the workspace; `api` says otherwise."""

    def on_account(self, known: Mapping[str, Any]) -> bool:
        return known.get("api") == "account" or (self.connection.is_account and known.get("api") != "workspace")

    def session(self, inputs: Mapping[str, Any]) -> Session:
        return self.connection.account() if self.on_account(inputs) else super().session(inputs)
