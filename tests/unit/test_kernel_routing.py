"""Routes: what matches what, and which one wins."""

from __future__ import annotations

from typing import Any

import pytest

from local_estate.api.kernel.errors import ApiError, arm_body, databricks_body, not_supported, scim_body
from local_estate.api.kernel.routing import Face, Route, Router, Service


def _handler(_: Any) -> None: ...


def _router(*paths: str, face: Face = Face.WORKSPACE) -> Router:
    return Router(
        [
            Service(
                name="s",
                routes=tuple(Route(method="GET", path=path, handler=_handler, faces=(face,)) for path in paths),
            )
        ]
    )


def _matched(router: Router, path: str, face: Face = Face.WORKSPACE) -> tuple[str, dict[str, str]] | None:
    found = router.match(face, "GET", path)
    return (found[0].path, found[1]) if found else None


def test_a_literal_path_wins_over_a_template() -> None:
    router = _router("/api/{name}", "/api/list", "/api/{rest:path}")
    assert _matched(router, "/api/list") == ("/api/list", {})
    assert _matched(router, "/api/other") == ("/api/{name}", {"name": "other"})
    assert _matched(router, "/api/a/b") == ("/api/{rest:path}", {"rest": "a/b"})


def test_parameters_are_decoded_after_matching() -> None:
    assert _matched(_router("/tables/{name}"), "/tables/a%2Fb%20c") == ("/tables/{name}", {"name": "a/b c"})


def test_only_arm_ignores_case() -> None:
    assert _matched(_router("/subscriptions/{s}", face=Face.ARM), "/SUBSCRIPTIONS/x", Face.ARM) == (
        "/subscriptions/{s}",
        {"s": "x"},
    )
    assert _matched(_router("/api/x"), "/API/x") is None


def test_a_face_knows_its_own_routes_alone() -> None:
    assert _matched(_router("/api/x"), "/api/x", Face.ACCOUNT) is None


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("TABLE_DOES_NOT_EXIST", 404),
        ("SCHEMA_ALREADY_EXISTS", 400),
        ("PERMISSION_DENIED", 403),
        ("ANYTHING", 400),
        ("NOT_IMPLEMENTED", 501),
    ],
)
def test_a_code_has_its_usual_status(code: str, status: int) -> None:
    assert ApiError(code, "m").status == status


def test_each_face_words_an_error_its_own_way() -> None:
    error = ApiError("PERMISSION_DENIED", "no")
    assert databricks_body(error) == {"error_code": "PERMISSION_DENIED", "message": "no", "details": []}
    assert arm_body(error) == {"error": {"code": "PERMISSION_DENIED", "message": "no", "details": []}}
    assert scim_body(error)["status"] == "403"


def test_a_refusal_names_what_is_refused() -> None:
    assert not_supported("COPY INTO").message == "the local estate does not support COPY INTO"
