"""Landing files as the source systems would deliver them, made up from a seed."""
