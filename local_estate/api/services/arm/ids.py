"""Azure resource ids, taken apart. Comparison is without regard to case, as ARM does."""

from __future__ import annotations

from dataclasses import dataclass

from local_estate.api.kernel.errors import ApiError


@dataclass(frozen=True, kw_only=True)
class ResourceId:
    """`type` is `Namespace/type[/child]`; `scope` is what an extension resource belongs to, or "" for a plain one."""

    text: str
    subscription: str
    resource_group: str
    type: str
    names: tuple[str, ...]
    scope: str = ""

    @property
    def key(self) -> str:
        return self.text.lower()

    @property
    def name(self) -> str:
        return self.names[-1]

    @property
    def parent(self) -> str | None:
        """The id of the resource a child belongs to."""
        return self.text.rsplit("/", 2)[0] if len(self.names) > 1 else None

    @property
    def group(self) -> str:
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"


EXTENSIONS = {"microsoft.authorization", "microsoft.insights/diagnosticsettings"}


def parse(path: str) -> ResourceId:
    """Of a resource or of a resource group. Raises ApiError InvalidResourceId for anything else."""
    text = "/" + path.strip("/")
    before, _, rest = text.rpartition("/providers/")
    segments = text.strip("/").split("/")
    if len(segments) < 2 or segments[0].lower() != "subscriptions":
        raise ApiError("InvalidResourceId", f"The resource id '{text}' is not valid.", 400)
    group = segments[3] if len(segments) > 3 and segments[2].lower() == "resourcegroups" else ""
    if not before:
        if len(segments) != 4 or not group:
            raise ApiError("InvalidResourceId", f"The resource id '{text}' is not valid.", 400)
        return ResourceId(
            text=text, subscription=segments[1], resource_group=group, type="Microsoft.Resources/resourceGroups", names=(group,)
        )
    parts = rest.split("/")
    if len(parts) < 3 or len(parts) % 2 == 0:
        raise ApiError("InvalidResourceId", f"The resource id '{text}' is not valid.", 400)
    kind = "/".join([parts[0], *parts[1::2]])
    extension = parts[0].lower() in EXTENSIONS or kind.lower() in EXTENSIONS
    return ResourceId(
        text=text,
        subscription=segments[1],
        resource_group=group,
        type=kind,
        names=tuple(parts[2::2]),
        scope=before if extension else "",
    )


def contains(scope: str, identifier: str) -> bool:
    """Whether `identifier` is the scope itself or lies below it."""
    outer, inner = scope.rstrip("/").lower(), identifier.rstrip("/").lower()
    return outer == "" or inner == outer or inner.startswith(outer + "/")
