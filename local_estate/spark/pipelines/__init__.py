"""Runs one update of a declarative pipeline inside a task's process: `pyspark.pipelines` declares, this executes on the task's session."""
