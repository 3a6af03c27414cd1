"""The ASGI application: face by listening port, then fault, authentication, route, handler, rendered answer."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qsl

from local_estate import full_disk
from local_estate.api.kernel import errors
from local_estate.api.kernel.call import Call, Estate, Reply
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.faults import DroppedReply
from local_estate.api.kernel.identity import ARM_AUDIENCE, DATABRICKS_AUDIENCE, VAULT_AUDIENCE, Principal, authenticate
from local_estate.api.kernel.routing import ErrorStyle, Face, Route, Router

log = logging.getLogger("estate.access")

_AUDIENCES = {
    Face.ARM: (ARM_AUDIENCE, ARM_AUDIENCE + "/", VAULT_AUDIENCE),
    Face.ACCOUNT: (DATABRICKS_AUDIENCE, "databricks"),
    Face.WORKSPACE: (DATABRICKS_AUDIENCE, "databricks"),
    Face.CONSOLE: ("databricks",),
}
_RENDER = {
    "databricks": errors.databricks_body,
    "arm": errors.arm_body,
    "scim": errors.scim_body,
    "oauth": errors.oauth_body,
}


class Application:
    """`faces` maps a listening port to the face it speaks and, for a workspace, its id."""

    def __init__(self, estate: Estate, router: Router, faces: dict[int, tuple[Face, int | None]]) -> None:
        self._estate = estate
        self._router = router
        self._faces = faces
        # Handlers block (SQLite, waiting for statements), so they have threads of their own and never the event loop.
        self._threads = ThreadPoolExecutor(64, thread_name_prefix="request")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        started = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            reply = await loop.run_in_executor(self._threads, self._answer, scope, bytes(body))
        except DroppedReply:
            # The connection breaks without a byte, so the caller cannot know whether the effect happened. An application that merely
            # returns would have the server answer 500 in its name; `send` belongs to the server's own request object.
            send.__self__.transport.abort()
            log.info("%s %s reply dropped by an injected fault", scope["method"], scope["path"])
            return
        content = reply.body if isinstance(reply.body, bytes) else json.dumps({} if reply.body is None else reply.body).encode()
        headers = {"content-type": reply.content_type, "content-length": str(len(content)), **reply.headers}
        log.info("%s %s %d %.1f ms", scope["method"], scope["path"], reply.status, (time.monotonic() - started) * 1000)
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": raw})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})

    def _answer(self, scope: Any, body: bytes) -> Reply:
        face, workspace_id = self._faces[scope["server"][1]]
        path = re.sub(r"/{2,}", "/", (scope.get("raw_path") or scope["path"].encode()).decode("latin-1"))
        found = self._router.match(face, scope["method"], path)
        style: ErrorStyle = found[0].errors if found else ("arm" if face is Face.ARM else "databricks")
        try:
            if found is None:
                raise ApiError(
                    "NOT_IMPLEMENTED",
                    f"the local estate does not implement {scope['method']} {path} ({face.value} API)",
                    501,
                )
            call = self._call(found[0], found[1], scope, path, body, face, workspace_id)
            answer = self._estate.faults.around(call.method, path, lambda: found[0].handler(call))
            return answer if isinstance(answer, Reply) else Reply(body=answer)
        except ApiError as error:
            if error.status == 501:
                logging.getLogger("estate").warning("501 %s %s: %s", scope["method"], path, error.message)
            return Reply(status=error.status, body=_RENDER[style](error), headers=_error_headers(error))
        except DroppedReply:
            raise
        except Exception as error:
            failure = self._failure(error, f"{scope['method']} {path}")
            return Reply(status=failure.status, body=_RENDER[style](failure), headers=_error_headers(failure))

    def _failure(self, error: Exception, request: str) -> ApiError:
        """Of a handler: a full disk is said in one line, anything else is a bug and keeps its traceback in the log."""
        if said := full_disk.explained(error, self._estate.paths.home):
            logging.getLogger("estate").error("%s: %s", request, said)
            return ApiError("INSUFFICIENT_STORAGE", said, 507)
        logging.getLogger("estate").error("%s failed", request, exc_info=error)
        return ApiError("INTERNAL_ERROR", f"{type(error).__name__} in the local estate; see its log", 500)

    def _call(
        self,
        route: Route,
        parameters: dict[str, str],
        scope: Any,
        path: str,
        body: bytes,
        face: Face,
        workspace_id: int | None,
    ) -> Call:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        principal: Principal | None = None
        if not route.anonymous:
            principal = authenticate(
                self._estate.tokens,
                self._estate.store.read,
                authorization=headers.get("authorization", ""),
                audiences=_AUDIENCES[face],
                workspace_id=workspace_id,
            )
            self._estate.ask("identity.admit", principal=principal, face=face, workspace_id=workspace_id)
        return Call(
            estate=self._estate,
            face=face,
            method=scope["method"],
            path=path,
            path_parameters=parameters,
            query=dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True)),
            headers=headers,
            body=body,
            principal=principal,
            workspace_id=workspace_id,
        )

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _error_headers(error: ApiError) -> dict[str, str]:
    # One line without blanks at its ends: h11 refuses any other header value.
    headers = {"x-databricks-reason-phrase": " ".join(error.message.encode("ascii", "replace").decode().split())[:200].strip()}
    if error.status in (429, 503):
        headers["retry-after"] = "1"
    return headers
