"""An HTTPS server on the loopback interface, in a thread of its own, that can also reset a connection."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from genai_audit.demo._sign_in import HOST
from genai_audit.errors import SoftwareError

Transports = dict[tuple[str, int], asyncio.Transport]


class LoopbackServer:
    """Serves `app` on 127.0.0.1 between `start` and `stop`; `port` 0 takes a free one."""

    def __init__(self, app: Starlette, certificate: Path, port: int = 0) -> None:
        self.transports: Transports = {}
        # With the protocol named, asyncio sets TCP_NODELAY; without it, every answer waits 40 ms.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((HOST, port))
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app, http=_tracking_protocol(self.transports), ws="none", lifespan="off", loop="asyncio",
            ssl_certfile=certificate, log_config=None, log_level="critical", access_log=False,
            timeout_keep_alive=60, timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()), name="pretend-tenant", daemon=True
        )

    def start(self) -> None:
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise SoftwareError("The pretend tenant's server did not start.", where="demo/_server.py")
            time.sleep(0.005)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    async def _serve(self) -> None:
        await self._server.serve([self._socket])
        for transport in list(self.transports.values()):  # a client that never answers our goodbye
            transport.abort()
        await asyncio.sleep(0.01)  # closing a transport takes a turn or two of the loop


class ResetResponse(Response):
    """Announces its whole length, sends `part` bytes of the body (0: not even headers), then resets TCP."""

    def __init__(self, whole: Response, part: int, transports: Transports) -> None:
        super().__init__(whole.body, whole.status_code, media_type=whole.media_type)
        self._part, self._transports = part, transports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._part:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            await send({"type": "http.response.body", "body": self.body[: self._part], "more_body": True})
            await asyncio.sleep(0.02)  # let the client get what was sent before the reset discards it
        transport = self._transports.get(tuple(scope["client"]))
        if transport is None:  # the client went first
            return
        linger = struct.pack("ii", 1, 0)  # a close that sends RST instead of FIN
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass


def _tracking_protocol(transports: Transports) -> type[asyncio.Protocol]:
    class TrackingProtocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if self.client:
                transports[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if self.client:
                transports.pop(self.client, None)

    return TrackingProtocol
