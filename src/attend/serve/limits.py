"""The limits of a server."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits on requests, so that no client can starve the others."""

    body_bytes: int = 8 * 2**20
    """Maximum size of a request's body: room for an image."""
    text_characters: int = 2_000
    """Maximum length of a text."""
    inputs: int = 64
    """Maximum inputs, or pairs of input and output, per request."""
    seconds: float = 60.0
    """How long a request may take, waiting included."""
    head_seconds: float = 10.0
    """How long a client may take to send a request's head, and then its body."""
    connections: int = 512
    """Maximum open connections; further ones are closed."""
    queue: int = 64
    """Maximum requests waiting for one model; further ones get status 503."""
    batch: int = 16
    """Maximum inputs in a batch."""
    wait_seconds: float = 0.004
    """How long the first input of a batch waits for others, when nothing else is running."""
