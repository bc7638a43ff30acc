"""HTTP connections with a time limit for the head of each request."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

from attend.serve.limits import Limits


def bounded(limits: Limits) -> type[H11Protocol]:
    """A protocol that closes a connection whose next request is late, and connections beyond the limit."""

    class Connection(H11Protocol):
        # Uvicorn has no timeout for a request's head, only for keep-alive after a response.
        waiting: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > limits.connections:
                transport.abort()
            else:
                self.expect()

        def data_received(self, data: bytes) -> None:
            before = self.cycle
            if self.waiting is None and (before is None or before.response_complete):
                self.expect()
            super().data_received(data)
            if self.cycle is not before:
                self.stop_expecting()

        def connection_lost(self, exc: Exception | None) -> None:
            self.stop_expecting()
            super().connection_lost(exc)

        def expect(self) -> None:
            self.waiting = self.loop.call_later(limits.head_seconds, self.transport.abort)

        def stop_expecting(self) -> None:
            if self.waiting is not None:
                self.waiting.cancel()
                self.waiting = None

    return Connection
