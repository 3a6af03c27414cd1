"""The CrossGuard pack: controls as data rows, their predicates as plain functions that need no engine."""
