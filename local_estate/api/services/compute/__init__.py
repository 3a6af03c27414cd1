"""Cluster policies and their evaluation, instance pools, node types. All-purpose clusters are not run locally."""
