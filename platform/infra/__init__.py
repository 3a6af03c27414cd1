"""The estate of one stack, as Pulumi components."""
