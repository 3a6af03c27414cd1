"""The kinds of objects with an ACL: their name in the path, in the reply, and their levels."""

from __future__ import annotations

from dataclasses import dataclass

from local_estate.api.kernel.errors import ApiError

_MANAGE = "CAN_MANAGE"
OWNER = "IS_OWNER"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """`object_type` is the spelling of replies, which differs from the path's `name`. `levels` rise.

    `single_owner`: a replacing PUT must name exactly one owner. `created_with`: the level the creator gets, "" for none.
    """

    name: str
    object_type: str
    levels: tuple[str, ...]
    created_with: str = ""
    single_owner: bool = False
    word: str = ""  # in messages

    @property
    def manage(self) -> str:
        """What admins hold by inheritance; of kinds without CAN_MANAGE, the highest level."""
        return _MANAGE if _MANAGE in self.levels else self.levels[-1]

    def rank(self, level: str) -> int:
        return self.levels.index(level)

    def highest(self, levels: list[str]) -> str | None:
        return max(levels, key=self.rank, default=None)


_TREE = ("CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE")
_RUNNABLE = ("CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", OWNER)

_KINDS = (
    Kind(name="clusters", object_type="cluster", levels=("CAN_ATTACH_TO", "CAN_RESTART", "CAN_MANAGE"), created_with=_MANAGE),
    Kind(name="cluster-policies", object_type="cluster-policy", levels=("CAN_USE",), word="cluster policy"),
    Kind(name="instance-pools", object_type="instance-pool", levels=("CAN_ATTACH_TO", "CAN_MANAGE"), created_with=_MANAGE, word="pool"),
    Kind(name="jobs", object_type="job", levels=_RUNNABLE, created_with=OWNER, single_owner=True),
    Kind(
        name="pipelines",
        object_type="pipelines",
        levels=("CAN_VIEW", "CAN_RUN", "CAN_MANAGE", OWNER),
        created_with=OWNER,
        single_owner=True,
        word="pipeline",
    ),
    Kind(name="notebooks", object_type="notebook", levels=_TREE, created_with=_MANAGE),
    Kind(name="directories", object_type="directory", levels=_TREE, created_with=_MANAGE),
    Kind(name="files", object_type="file", levels=_TREE, created_with=_MANAGE),
    Kind(name="repos", object_type="repo", levels=_TREE, created_with=_MANAGE),
    Kind(
        name="sql/warehouses",
        object_type="warehouses",
        levels=("CAN_USE", "CAN_MONITOR", "CAN_VIEW", "CAN_MANAGE", OWNER),
        created_with=OWNER,
        word="SQL warehouse",
    ),
    Kind(name="experiments", object_type="mlflowExperiment", levels=("CAN_READ", "CAN_EDIT", "CAN_MANAGE"), created_with=_MANAGE),
    Kind(name="registered-models", object_type="registered-model", levels=("CAN_READ", "CAN_EDIT", "CAN_MANAGE"), created_with=_MANAGE),
    Kind(name="serving-endpoints", object_type="serving-endpoint", levels=("CAN_VIEW", "CAN_QUERY", "CAN_MANAGE"), created_with=_MANAGE),
    Kind(name="vector-search-endpoints", object_type="vector-search-endpoints", levels=("CAN_USE", "CAN_MANAGE"), created_with=_MANAGE),
    Kind(name="authorization", object_type="tokens", levels=("CAN_USE", "CAN_MANAGE")),
)
_BY_NAME = {kind.name: kind for kind in _KINDS} | {"warehouses": next(kind for kind in _KINDS if kind.name == "sql/warehouses")}
# Objects of which each workspace has one.
SINGLETONS = {
    ("authorization", "tokens"): Kind(name="authorization", object_type="tokens", levels=("CAN_USE", "CAN_MANAGE")),
    ("authorization", "passwords"): Kind(name="authorization", object_type="passwords", levels=("CAN_USE",)),
}

DESCRIPTIONS = {
    "CAN_VIEW": "Can view",
    "CAN_READ": "Can read",
    "CAN_RUN": "Can run",
    "CAN_EDIT": "Can edit",
    "CAN_USE": "Can use",
    "CAN_MONITOR": "Can monitor",
    "CAN_QUERY": "Can query",
    "CAN_RESTART": "Can restart",
    "CAN_ATTACH_TO": "Can attach to",
    "CAN_MANAGE_RUN": "Can manage runs",
    "CAN_MANAGE": "Can manage permissions",
    OWNER: "Is the owner",
}


def kind_of(name: str, object_id: str = "") -> Kind:
    """Raises ApiError INVALID_PARAMETER_VALUE for a type without ACLs."""
    if (name, object_id) in SINGLETONS:
        return SINGLETONS[(name, object_id)]
    if name not in _BY_NAME:
        raise ApiError("INVALID_PARAMETER_VALUE", f"'{name}' is not a valid object type. It is one of {', '.join(sorted(_BY_NAME))}.")
    return _BY_NAME[name]
