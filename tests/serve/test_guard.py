"""Who is answered, and who is not."""

from dataclasses import replace

import pytest
from echo import LIMITS, Echo
from starlette.testclient import TestClient

from attend.serve.application import application
from attend.serve.guard import host_of


def ask(path: str = "/v1/models", token: str | None = None, **headers: str) -> int:
    app = application([Echo()], LIMITS, hosts=["localhost", "127.0.0.1", "::1", "models.lan"], token=token)
    with TestClient(app, base_url="http://localhost:8000") as client:
        return client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()}).status_code


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000", "[::1]", "MODELS.lan:80"])
def test_the_servers_own_names_are_answered(host: str) -> None:
    assert ask(host=host) == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8000", "10.0.0.1", "", "[::1", "local host"],
)
def test_other_names_are_not(host: str) -> None:
    assert ask(host=host) == 421
    assert ask("/", host=host) == 421


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8000", 200),
        ("http://localhost:9000", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("http://localhost:8000.evil.example", 403),
    ],
)
def test_only_the_servers_own_page_may_ask_from_a_browser(origin: str, status: int) -> None:
    assert ask(origin=origin) == status


def test_what_a_browser_says_of_where_a_request_comes_from_is_heard() -> None:
    assert ask(sec_fetch_site="cross-site") == 403
    assert ask(sec_fetch_site="same-site") == 403
    assert ask(sec_fetch_site="same-origin") == 200
    # A link to the page, on another page, is a link.
    assert ask("/", sec_fetch_site="cross-site") == 200


def test_nothing_says_that_other_pages_may_read_answers() -> None:
    with TestClient(application([Echo()], LIMITS), base_url="http://localhost") as client:
        for answer in (client.get("/v1/models"), client.options("/v1/models"), client.get("/")):
            assert not [name for name in answer.headers if name.startswith("access-control")]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_a_token_is_asked_for_everywhere_but_at_the_door() -> None:
    assert ask(token="secret") == 401
    assert ask(token="secret", authorization="Bearer wrong") == 401
    assert ask(token="secret", authorization="Bearer secret") == 200
    assert ask("/metrics", token="secret") == 401
    assert ask("/healthz", token="secret") == 200
    assert ask("/", token="secret") == 200
    # An address is of no use without the token, so with one any address is as good.
    assert ask(token="secret", authorization="Bearer secret", host="10.0.0.1:8000") == 200
    assert ask(token="secret", authorization="Bearer secret", host="evil.example") == 421


def test_large_bodies_are_refused_before_they_are_read() -> None:
    with TestClient(application([Echo()], replace(LIMITS, body_bytes=100)), base_url="http://localhost") as client:
        assert client.post("/v1/predict", content=b"x" * 101).status_code == 413
        assert client.post("/v1/predict", headers={"Content-Length": "9" * 5000}).status_code == 413

        def chunks():
            for _ in range(20):
                yield b"x" * 10

        assert client.post("/v1/predict", content=chunks()).status_code == 413
        assert client.post("/v1/predict", json={"inputs": ["a"]}).status_code == 200


@pytest.mark.parametrize(
    ("value", "host"),
    [("a:80", "a"), ("a", "a"), ("[::1]:80", "::1"), ("::1", ":"), ("a:b", "a:b"), ("A.B:8", "a.b")],
)
def test_host_of(value: str, host: str) -> None:
    assert host_of(value) == host
