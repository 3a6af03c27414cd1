"""The Azure VM sizes that Databricks offers, as far as the platform may name them. DBU per hour and node for jobs compute."""

from __future__ import annotations

from dataclasses import dataclass

from local_estate.api.kernel.store import Document


@dataclass(frozen=True, kw_only=True)
class NodeType:
    node_type_id: str
    memory_mb: int
    num_cores: int
    category: str
    dbus_per_hour: float

    def wire(self) -> Document:
        return {
            "node_type_id": self.node_type_id,
            "memory_mb": self.memory_mb,
            "num_cores": float(self.num_cores),
            "description": self.node_type_id,
            "instance_type_id": self.node_type_id,
            "category": self.category,
            "is_deprecated": False,
            "is_encrypted_in_transit": False,
            "is_graviton": False,
            "is_hidden": False,
            "is_io_cache_enabled": "d" in self.node_type_id.rpartition("_")[0].removeprefix("Standard_").lower()[1:],
            "num_gpus": 0,
            "photon_driver_capable": True,
            "photon_worker_capable": True,
            "support_cluster_tags": True,
            "support_ebs_volumes": True,
            "support_port_forwarding": True,
        }


def _sizes(prefix: str, suffix: str, category: str, gb_per_core: int, dbu_per_core: float, cores: tuple[int, ...]) -> list[NodeType]:
    return [
        NodeType(
            node_type_id=f"Standard_{prefix}{number}{suffix}",
            memory_mb=number * gb_per_core * 1024,
            num_cores=number,
            category=category,
            dbus_per_hour=number * dbu_per_core,
        )
        for number in cores
    ]


_GENERAL, _MEMORY, _STORAGE, _COMPUTE = "General Purpose", "Memory Optimized", "Storage Optimized", "Compute Optimized"
_DS_V2 = {3: (4, 14336, 0.75), 4: (8, 28672, 1.5), 5: (16, 57344, 3.0)}

NODE_TYPES = tuple(
    [
        NodeType(node_type_id=f"Standard_DS{n}_v2", memory_mb=memory, num_cores=cores, category=_GENERAL, dbus_per_hour=dbu)
        for n, (cores, memory, dbu) in _DS_V2.items()
    ]
    + _sizes("D", "s_v3", _GENERAL, 4, 0.1875, (4, 8, 16, 32))
    + _sizes("D", "ds_v5", _GENERAL, 4, 0.25, (4, 8, 16, 32))
    + _sizes("D", "ads_v5", _GENERAL, 4, 0.25, (4, 8, 16, 32))
    + _sizes("D", "ds_v4", _GENERAL, 4, 0.25, (4, 8, 16, 32))
    + _sizes("E", "s_v3", _MEMORY, 8, 0.25, (4, 8, 16, 32))
    + _sizes("E", "ds_v4", _MEMORY, 8, 0.375, (4, 8, 16, 32))
    + _sizes("E", "ds_v5", _MEMORY, 8, 0.375, (4, 8, 16, 32))
    + _sizes("E", "ads_v5", _MEMORY, 8, 0.375, (4, 8, 16, 32))
    + _sizes("L", "s_v3", _STORAGE, 8, 0.34, (8, 16, 32))
    + _sizes("L", "s_v2", _STORAGE, 8, 0.34, (8, 16, 32))
    + _sizes("F", "s_v2", _COMPUTE, 2, 0.2, (4, 8, 16, 32))
)
_BY_ID = {node.node_type_id: node for node in NODE_TYPES}

SPARK_VERSIONS = (
    ("17.3.x-scala2.13", "17.3 LTS (includes Apache Spark 4.0.0, Scala 2.13)"),
    ("17.3.x-photon-scala2.13", "17.3 LTS Photon (includes Apache Spark 4.0.0, Scala 2.13)"),
    ("17.3.x-cpu-ml-scala2.13", "17.3 LTS ML (includes Apache Spark 4.0.0, Scala 2.13)"),
    ("16.4.x-scala2.12", "16.4 LTS (includes Apache Spark 3.5.2, Scala 2.12)"),
    ("16.4.x-scala2.13", "16.4 LTS (includes Apache Spark 3.5.2, Scala 2.13)"),
    ("16.4.x-photon-scala2.12", "16.4 LTS Photon (includes Apache Spark 3.5.2, Scala 2.12)"),
    ("15.4.x-scala2.12", "15.4 LTS (includes Apache Spark 3.5.0, Scala 2.12)"),
    ("15.4.x-photon-scala2.12", "15.4 LTS Photon (includes Apache Spark 3.5.0, Scala 2.12)"),
    ("14.3.x-scala2.12", "14.3 LTS (includes Apache Spark 3.5.0, Scala 2.12)"),
)


def dbus_per_hour(node_type_id: str) -> float | None:
    """None for a size that is not in the list."""
    return _BY_ID[node_type_id].dbus_per_hour if node_type_id in _BY_ID else None
