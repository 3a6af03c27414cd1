"""The two Pulumi resource providers of the local estate: ordinary plugins that speak gRPC to the engine and HTTP to the service."""
