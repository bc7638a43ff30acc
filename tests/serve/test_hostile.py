"""What a server must outlive: each attack goes on beside good requests, which are all answered.

Everything is on the loopback, and bounded in number, size and time.
"""

import http.client
import json
import random
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from echo import LIMITS, Echo, serving

from attend.serve.application import application

MEMORY_MB = 150
# Other programs of this machine may keep the processor for a while.
PATIENCE = 60
POST = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n"
GOOD = json.dumps({"inputs": ["a b"]}).encode()


def ask(port: int, method: str = "GET", path: str = "/healthz", body: bytes | None = None, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def predict(port: int, body: bytes = GOOD) -> int:
    return ask(port, "POST", "/v1/predict", body, Content_Type="application/json")


def memory_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


@contextmanager
def answered_meanwhile(port: int) -> Iterator[None]:
    """Good requests all the while, every one answered; and the server alive, and not much larger, after it."""
    before = memory_mb()
    statuses: list[int] = []
    over = threading.Event()

    def ask_on() -> None:
        while not over.is_set():
            statuses.append(predict(port))
            time.sleep(0.02)

    thread = threading.Thread(target=ask_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(PATIENCE)
    statuses.append(predict(port))
    assert set(statuses) == {200}
    assert ask(port, path="/healthz") == 200
    assert memory_mb() - before < MEMORY_MB


def raw(port: int, data: bytes, wait: float = 2.0) -> bytes:
    """What comes back for these bytes, until the connection ends or so many seconds are over."""
    with socket.create_connection(("127.0.0.1", port), timeout=wait) as connection:
        try:
            connection.sendall(data)
            found = b""
            while chunk := connection.recv(4096):
                found += chunk
                if len(found) > 100_000:
                    break
        except (TimeoutError, ConnectionError):
            return b""
        return found


def test_huge_requests(port: int) -> None:
    with answered_meanwhile(port):
        # Whoever sends on after the answer is closed on, and may not come to read it.
        with suppress(ConnectionError):
            assert predict(port, b'{"inputs": ["' + b"a" * 3_000_000 + b'"]}') == 413
        assert predict(port, json.dumps({"inputs": ["a" * 5000]}).encode()) == 413
        assert ask(port, path="/" + "a" * 30_000) in (400, 404)
        head = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
        assert not raw(port, head + b"X: " + b"a" * 300_000).startswith(b"HTTP/1.1 200")
        assert not raw(port, head + b"X: y\r\n" * 20_000 + b"\r\n").startswith(b"HTTP/1.1 200")
        # A body that says it is small, or never ends.
        endless = POST + b"Transfer-Encoding: chunked\r\n\r\n"
        assert b"413" in raw(port, endless + b"1000\r\n" + (b"a" * 0x1000 + b"\r\n1000\r\n") * 10)[:20]


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS greeting
        b"\x00" * 1000,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    ],
    ids=range(11),
)
def test_malformed_requests(port: int, data: bytes) -> None:
    with answered_meanwhile(port):
        answer = raw(port, data, wait=1.5)
        assert not answer.startswith(b"HTTP/1.1 200")


def test_slow_and_half_closed_clients(port: int) -> None:
    heads = [
        b"GET / HTTP/1.1\r\nHost: loc",
        b"P",
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{",
    ]
    with answered_meanwhile(port):
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(30)]
        for number, connection in enumerate(slow):
            connection.sendall(heads[number % 3])
        half = [socket.create_connection(("127.0.0.1", port)) for _ in range(10)]
        for connection in half:
            connection.sendall(POST + b"Content-Length: 500\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
        ended = 0
        until = time.monotonic() + 6
        for connection in slow + half:
            connection.settimeout(max(until - time.monotonic(), 0.1))
            try:
                # Whoever is too slow is told so, or just closed on.
                data = connection.recv(1000)
                ended += data == b"" or b" 408 " in data or b" 400 " in data
            except ConnectionError:
                ended += 1
            connection.close()
        assert ended == len(slow + half)


def test_connections_that_say_nothing_do_not_keep_others_out(echo: Echo) -> None:
    with serving(application([echo], LIMITS)) as port:
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(600)]
        try:
            until = time.monotonic() + 10
            status = 0
            while status != 200 and time.monotonic() < until:
                try:
                    status = predict(port)
                except (ConnectionError, http.client.HTTPException):
                    time.sleep(0.1)
            assert status == 200
            with answered_meanwhile(port):
                time.sleep(0.2)
        finally:
            for connection in idle:
                connection.close()


def test_thousands_of_connections_come_and_go(echo: Echo) -> None:
    # Room for all of them, however late they are seen to have gone: those above the most would keep good ones out.
    limits = replace(LIMITS, connections=4000)
    with serving(application([echo], limits), limits) as port, answered_meanwhile(port):
        for _ in range(2000):
            socket.create_connection(("127.0.0.1", port)).close()


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/explorer.js/../../pyproject.toml",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/static/explorer.js",
        "/..%2f..%2fetc%2fpasswd",
        "//etc/passwd",
        "/explorer.js%00.html",
        "/page.html/",
        "/v1/../healthz/..",
        "/\\..\\..\\",
    ],
)
def test_paths_lead_nowhere_else(port: int, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.putrequest("GET", path, skip_host=True)
    connection.putheader("Host", "localhost")
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status in (307, 404)
    assert b"root:" not in body


def test_wrong_hosts_and_origins(port: int) -> None:
    with answered_meanwhile(port):
        for number in range(50):
            assert ask(port, Host=f"rebound-{number}.example") == 421
            assert ask(port, path="/v1/models", Origin=f"http://evil-{number}.example") == 403


ODD: list[Any] = [None, True, -1, 2**70, 1e308, "", "\u202e\x00", "a" * 3000, [], {}, [[[]]], {"a": {"b": 1}}, "wrong"]


def invented(schema: dict[str, Any], document: dict[str, Any], choose: random.Random, depth: int = 0) -> Any:
    """Something that more or less fits a schema, and now and then does not at all."""
    if choose.random() < 0.15 or depth > 6:
        return choose.choice(ODD)
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return invented(document["components"]["schemas"][name], document, choose, depth + 1)
    if forms := schema.get("anyOf", schema.get("oneOf")):
        return invented(choose.choice(forms), document, choose, depth + 1)
    kind = schema.get("type")
    if kind == "object":
        fields = schema.get("properties", {})
        made = {
            name: invented(field, document, choose, depth + 1)
            for name, field in fields.items()
            if choose.random() < 0.8
        }
        if choose.random() < 0.1:
            made["more"] = choose.choice(ODD)
        if "additionalProperties" in schema and isinstance(schema["additionalProperties"], dict):
            made[str(choose.randint(-1, 3))] = invented(schema["additionalProperties"], document, choose, depth + 1)
        return made
    if kind == "array":
        return [invented(schema.get("items", {}), document, choose, depth + 1) for _ in range(choose.randint(0, 4))]
    if kind == "string":
        return choose.choice(["a", "b c", "echo", "\u05d0\u05d1 \u0301", "x" * 100])
    if kind == "integer":
        return choose.randint(-2, 40)
    if kind == "number":
        return choose.choice([0.0, 0.5, 1.0, -0.1, 1.5])
    return choose.choice(ODD)


def test_whatever_fits_the_description_or_nearly_is_answered(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", "/openapi.json")
    document = json.loads(connection.getresponse().read())
    choose = random.Random(7)
    statuses: dict[int, int] = {}
    with answered_meanwhile(port):
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                content = operation.get("requestBody", {}).get("content", {}).get("application/json")
                for _ in range(60 if content else 3):
                    body = json.dumps(invented(content["schema"], document, choose)).encode() if content else None
                    connection.request(method.upper(), path, body, {"Content-Type": "application/json"})
                    answer = connection.getresponse()
                    answer.read()
                    statuses[answer.status] = statuses.get(answer.status, 0) + 1
                for other in {"GET", "POST", "PUT", "DELETE", "PATCH"} - {method.upper()}:
                    assert ask(port, other, path) == 405
    connection.close()
    assert set(statuses) <= {200, 404, 413, 422}
    assert statuses[200] > 10
    assert statuses[422] > 10
