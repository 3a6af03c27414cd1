"""`/api/2.1/tag-policies` and the rule sets of the account's access control, as far as they concern governed tags."""

from __future__ import annotations

from local_estate.api.kernel.routing import Service
from local_estate.api.services.tag_policies import policies, rule_sets

SERVICE = Service(
    name="tag_policies",
    routes=(*policies.ROUTES, *rule_sets.ROUTES),
    provides={
        "tag_policies.allowed_values": policies.allowed_values,
        "tag_policies.may_assign": policies.may_assign,
    },
)
