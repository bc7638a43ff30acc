"""Middleware that checks hosts, origins, tokens and the size of bodies.

Any web page can make its visitor's browser send requests to this machine. So a request must name this server as its
host (against DNS rebinding), come from no other origin, and carry the token if one is set.
"""

import asyncio
import hmac
import ipaddress
import json
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from attend.serve.limits import Limits
from attend.serve.metrics import Metrics

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("localhost", "127.0.0.1", "::1")
# Paths without a token: the page itself, and the server's health.
OPEN = {"/", "/explorer.js", "/explorer.css", "/favicon.ico", "/healthz", "/readyz", "/docs", "/openapi.json"}
# Browsers may run only the page's own script and style, and connect only to this server.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class RefusalError(Exception):
    """A refused request, with a status and a reason."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class Guard:
    """An ASGI application around another one.

    `hosts` are the accepted host names; with a `token` any IP address is accepted too, as the address alone gives no
    access. `known` are the paths that metrics count by name. `leave` is to be called as soon as the server is to end:
    what is running is then finished, or told of it.
    """

    def __init__(
        self,
        application: Application,
        limits: Limits,
        metrics: Metrics,
        known: Collection[str],
        hosts: Collection[str] = LOOPBACK,
        token: str | None = None,
        leave: Callable[[], None] = lambda: None,
    ) -> None:
        self.application, self.limits, self.metrics = application, limits, metrics
        self.known, self.hosts, self.token = set(known), {host.lower() for host in hosts}, token
        self.leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", []), *protective(message.get("headers", []))]}
            await send(message)

        try:
            self.check(scope)
            await self.application(scope, await self.whole_body(scope, receive), counted)
        except RefusalError as refusal:
            await problem(counted, refusal)
        finally:
            path = scope["path"] if scope["path"] in self.known else "other"
            self.metrics.answered(path, status, time.perf_counter() - started)

    def check(self, scope: Scope) -> None:
        """Raise `RefusalError` for a request to another host, from another origin, or without the token."""
        headers = [(name.lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        named = [value for name, value in headers if name == b"host"]
        if len(named) != 1 or not self.is_known(host_of(named[0])):
            raise RefusalError(421, "this server does not have that host name: see --allow-host")
        for name, value in headers:
            # Browsers send a request's origin; other programs don't.
            if name == b"origin" and value.lower() not in (f"http://{named[0]}".lower(), f"https://{named[0]}".lower()):
                raise RefusalError(403, "requests from other pages are not answered")
            if (
                name == b"sec-fetch-site"
                and value not in ("same-origin", "none")
                and scope["path"] not in ("/", "/docs")
            ):
                raise RefusalError(403, "requests from other pages are not answered")
        if self.token is not None and scope["path"] not in OPEN:
            given = [value for name, value in headers if name == b"authorization"]
            if len(given) != 1 or not hmac.compare_digest(given[0].encode(), f"Bearer {self.token}".encode()):
                raise RefusalError(401, 'this server needs its token: send "Authorization: Bearer TOKEN"')

    def is_known(self, host: str) -> bool:
        return host in self.hosts or (self.token is not None and is_address(host))

    async def whole_body(self, scope: Scope, receive: Receive) -> Receive:
        """A `receive` with the body read already. Raises `RefusalError` for one that is too large or too slow."""
        for name, value in scope["headers"]:
            # Check the number of digits first: Python refuses to parse very long numbers.
            if name.lower() == b"content-length" and (len(value) > 12 or int(value) > self.limits.body_bytes):
                raise RefusalError(413, f"the body may have {self.limits.body_bytes:,} bytes")
        body = bytearray()
        try:
            async with asyncio.timeout(self.limits.head_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise RefusalError(400, "the client disconnected before its request was complete")
                    body += message.get("body", b"")
                    if len(body) > self.limits.body_bytes:
                        raise RefusalError(413, f"the body may have {self.limits.body_bytes:,} bytes")
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            raise RefusalError(408, f"the body did not arrive within {self.limits.head_seconds:g} seconds") from None
        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        return replay


def host_of(value: str) -> str:
    """The name in a Host header, without its port."""
    name = value.lower()
    if name.startswith("["):
        return name[1:].partition("]")[0] if "]" in name else name
    return name.rpartition(":")[0] if name.rpartition(":")[2].isdecimal() and ":" in name else name


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def protective(given: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The security headers that the response does not have already."""
    names = {name.lower() for name, _ in given}
    return [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in names]


async def problem(send: Send, refusal: RefusalError) -> None:
    """Respond with problem details (RFC 9457)."""
    body = json.dumps({"status": refusal.status, "detail": refusal.detail}).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    if refusal.status in (408, 413):
        headers.append((b"connection", b"close"))
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
