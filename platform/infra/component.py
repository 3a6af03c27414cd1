"""The base of every component: a literal type token, tags, protection."""

from __future__ import annotations

from typing import ClassVar

import pulumi


class Component(pulumi.ComponentResource):
    """`token` is part of the identity of every resource inside; it stays when files or classes are renamed."""

    token: ClassVar[str]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.token, name, None, opts)

    def child(self, *, depends_on: list[pulumi.Resource] | None = None, **options: object) -> pulumi.ResourceOptions:
        """Options of a resource inside this component. A named Azure object cannot be created beside its old self, so it goes first."""
        merged: dict[str, object] = {"parent": self, "delete_before_replace": True, **options}
        if depends_on:
            merged["depends_on"] = depends_on
        return pulumi.ResourceOptions(**merged)  # type: ignore[arg-type]
