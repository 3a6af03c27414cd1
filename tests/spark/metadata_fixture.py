"""The real Unity Catalog routes and rules on a loopback port, for one workspace; a bearer token is `token-of-<principal>`."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import ApiError, databricks_body
from local_estate.api.kernel.identity import Principal
from local_estate.api.kernel.routing import Face
from tests.api.governed_fixtures import WORKSPACE, Governed


def token_of(principal: str) -> str:
    return f"token-of-{principal}"


class WorkspaceApi:
    """`url` is what a Session calls its workspace_url; `calls` lists `(principal, method, path)` as they came."""

    def __init__(self, governed: Governed) -> None:
        self.governed = governed
        self.calls: list[tuple[str, str, str]] = []
        self.before: Callable[[str, str], None] = lambda method, path: None  # runs ahead of each request's effect
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, target: str, body: bytes, authorization: str) -> tuple[int, Any]:
        address = urlsplit(target)
        try:
            who = authorization.removeprefix("Bearer token-of-")
            if who == authorization:
                raise ApiError("UNAUTHENTICATED", "Credential was not sent or was of an unsupported type for this API.")
            self.calls.append((who, method, address.path))
            self.before(method, address.path)
            found = self.governed.router.match(Face.WORKSPACE, method, address.path)
            if found is None:
                raise ApiError("ENDPOINT_NOT_FOUND", f"No API found for '{method} {address.path}'", 404)
            call = Call(
                estate=self.governed.estate,
                face=Face.WORKSPACE,
                method=method,
                path=address.path,
                path_parameters=found[1],
                query=dict(parse_qsl(address.query, keep_blank_values=True)),
                headers={},
                body=body,
                principal=Principal(id=who, kind="user", name=who, display_name=who),
                workspace_id=WORKSPACE,
            )
            reply = found[0].handler(call)
            return getattr(reply, "status", 200), getattr(reply, "body", reply)
        except ApiError as error:
            return error.status, databricks_body(error)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, content = api.answer(self.command, self.path, body, self.headers.get("Authorization") or "")
                payload = json.dumps(content or {}).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve

            def log_message(self, format: str, *args: Any) -> None:
                return

        return Handler
