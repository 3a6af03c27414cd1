"""The console: one read-only page of facts about the estate, and the same facts as JSON."""
