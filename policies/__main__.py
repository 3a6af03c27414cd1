"""What the engine starts: serves the pack until the engine ends it."""

from guardrails.pack import serve

serve()
