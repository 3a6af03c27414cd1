"""What every emulated service stands on: store, faces, routing, errors, authentication, faults, clock."""
