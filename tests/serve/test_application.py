"""What the interface answers, through a client in this process."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest
from echo import LIMITS, Echo, serving
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from attend.attention.trace import Trace
from attend.serve.application import application


@pytest.fixture
def client(echo: Echo) -> Iterator[TestClient]:
    with TestClient(application([echo, Echo("second", beam=3)], LIMITS), base_url="http://localhost:8000") as client:
        yield client


def test_models_are_named_in_order(client: TestClient) -> None:
    first, second = client.get("/v1/models").json()["models"]
    assert first == {
        "name": "echo",
        "reads": "text",
        "inputs": {"source": "text"},
        "longest": {"source": 100},
        "output": "sequence",
        "steerable": True,
        "beam": 1,
        "about": {"recipe": "none"},
        "examples": [],
    }
    assert (second["name"], second["beam"]) == ("second", 3)


def test_predictions_come_in_order_from_the_model_named(client: TestClient) -> None:
    found = client.post("/v1/predict", json={"inputs": ["a b", "c"], "best": 2, "model": "second"}).json()
    assert found["model"] == "second"
    assert [[output["text"] for output in several] for several in found["outputs"]] == [["A B"] * 2, ["C"] * 2]
    assert found["outputs"][0][0]["tokens"] == ["A", "B"]
    assert found["outputs"][0][0]["finished"] is True


def test_a_model_of_several_inputs_gets_them_by_name() -> None:
    pair = Echo("pairs", names=("premise", "hypothesis"), examples=[{"premise": "a", "hypothesis": "b"}])
    with TestClient(application([pair], LIMITS), base_url="http://localhost") as client:
        (model,) = client.get("/v1/models").json()["models"]
        assert (model["reads"], model["inputs"]) == ("fields", {"premise": "text", "hypothesis": "text"})
        assert model["examples"] == [{"premise": "a", "hypothesis": "b"}]
        given = {"premise": "a b", "hypothesis": "c"}
        outputs = client.post("/v1/predict", json={"inputs": [given, given]}).json()["outputs"]
        assert [several[0]["text"] for several in outputs] == ["A B", "A B"]
        assert client.post("/v1/score", json={"pairs": [{"input": given, "output": "x"}]}).status_code == 200
        assert client.post("/v1/trace", json={"input": given}).json()["trace"]["output"] == "A B"
        assert events(client.post("/v1/stream", json={"input": given}).text)[-1][0] == "done"
        answer = client.post("/v1/predict", json={"inputs": [{"premise": "a", "hypothesis": "a" * 201}]})
        assert (answer.status_code, "the input's hypothesis" in answer.json()["detail"]) == (413, True)


def test_the_text_of_a_file_has_no_limit_but_the_body_s() -> None:
    with TestClient(application([Echo(reads="image")], LIMITS), base_url="http://localhost") as client:
        assert client.post("/v1/predict", json={"inputs": ["a" * 1000]}).status_code == 200


def test_scores(client: TestClient) -> None:
    pairs = [{"input": "a", "output": "x y"}, {"input": "b", "output": "z"}]
    found = client.post("/v1/score", json={"pairs": pairs}).json()
    assert [score["log_prob"] for score in found["scores"]] == [-2.0, -1.0]


def test_a_trace_is_of_the_published_form(client: TestClient) -> None:
    asked = {"input": "a b", "alternatives": 2, "weights": {"1": [1.0, 0.0]}}
    found = client.post("/v1/trace", json=asked).json()["trace"]
    assert Trace.from_json(found).looks["source"].weights.tolist() == [[1, 0], [1, 0]]  # type: ignore[union-attr]
    assert found["alternatives"][0][1]["text"] == "b"


def events(text: str) -> list[tuple[str, Any]]:
    found = []
    for event in text.strip().split("\n\n"):
        name, data = event.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_a_stream_tells_each_token_with_its_row(client: TestClient) -> None:
    answer = client.post("/v1/stream", json={"input": "a b"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = events(answer.text)
    assert [name for name, _ in told] == ["token", "token", "done"]
    assert [(value["text"], value["weights"]) for _, value in told[:2]] == [("A", [1, 0]), ("B", [0, 1])]
    assert Trace.from_json(told[-1][1]["trace"]).output == "A B"


def test_a_stream_says_what_went_wrong(client: TestClient) -> None:
    assert events(client.post("/v1/stream", json={"input": "wrong"}).text) == [
        ("error", {"status": 422, "detail": "this text is wrong: write another"})
    ]


@pytest.mark.parametrize(
    ("path", "asked", "status", "detail"),
    [
        ("/v1/predict", {"inputs": ["wrong"]}, 422, "this text is wrong: write another"),
        ("/v1/predict", {"inputs": ["a"], "model": "third"}, 404, "there is no model 'third'; the models are echo,"),
        ("/v1/predict", {"inputs": ["a" * 201]}, 413, "the input has 201 characters: at most 200"),
        ("/v1/predict", {"inputs": ["a", {"source": "a" * 201}]}, 413, "input 2 has 201 characters: at most 200"),
        ("/v1/score", {"pairs": [{"input": "a", "output": "a" * 201}]}, 413, "output 1 has 201 characters"),
        ("/v1/predict", {"inputs": ["a"] * 9}, 413, "9 inputs: send at most 8 at once"),
        ("/v1/predict", {"inputs": []}, 422, "inputs: List should have at least 1 item"),
        ("/v1/predict", {"inputs": ["a"], "colour": "red"}, 422, "colour: Extra inputs are not permitted"),
        ("/v1/predict", {"inputs": ["a"], "beam": 0}, 422, "beam: Input should be greater than or equal to 1"),
        ("/v1/predict", {"inputs": [7]}, 422, "inputs.0.text: Input should be a valid string"),
        ("/v1/predict", {"inputs": [{}]}, 422, "inputs.0.fields: Dictionary should have at least 1 item"),
        ("/v1/predict", {"inputs": [{"source": 7}]}, 422, "inputs.0.fields.source: Input should be a valid string"),
        ("/v1/score", {"pairs": [{"input": "a"}]}, 422, "pairs.0.output: Field required"),
        ("/v1/trace", {"input": "a", "weights": {"0": [2.0]}}, 422, "less than or equal to 1"),
        ("/v1/trace", {"input": "a", "weights": {"5": [1.0]}}, 422, "weights do not fit"),
        ("/v1/trace", {"input": "a", "prefix": [-1]}, 422, "prefix.0"),
        ("/v1/nothing", {}, 404, "Not Found"),
    ],
)
def test_what_can_not_be_answered_is_said(
    client: TestClient, path: str, asked: dict[str, Any], status: int, detail: str
) -> None:
    answer = client.post(path, json=asked)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert detail in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 5000, b"\xff\xfe", b'{"inputs": NaN}', b'"a"', b"9" * 5000])
def test_malformed_bodies_are_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/predict", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert "detail" in answer.json()


def test_where_a_request_stops_being_json_is_said(client: TestClient) -> None:
    answer = client.post("/v1/predict", content=b'{"inputs": ["a"', headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("the request is not JSON: ")
    assert answer.json()["detail"].endswith(" at character 15")


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz"])
def test_whether_it_is_there_can_be_asked_without_a_body(client: TestClient, path: str) -> None:
    answer = client.head(path)
    assert answer.status_code == 200


def test_half_a_character_in_a_wrong_key_is_refused_in_words(client: TestClient) -> None:
    answer = client.post("/v1/predict", content=b'{"\\ud800": 1}', headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


def test_what_is_wrong_with_one_input_does_not_come_to_others(echo: Echo) -> None:
    with serving(application([echo], LIMITS)) as port:
        answers: dict[str, int] = {}

        def ask(text: str) -> None:
            asked = httpx.post(f"http://127.0.0.1:{port}/v1/predict", json={"inputs": [text]}, timeout=60)
            answers[text] = asked.status_code

        threads = [threading.Thread(target=ask, args=(text,)) for text in ("a", "wrong", "b", "c")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert answers == {"a": 200, "wrong": 422, "b": 200, "c": 200}


def test_a_full_queue_says_when_to_come_back(echo: Echo) -> None:
    echo.gate = threading.Event()
    with serving(application([echo], LIMITS)) as port:
        statuses: list[tuple[int, str | None]] = []

        def ask() -> None:
            asked = httpx.post(f"http://127.0.0.1:{port}/v1/trace", json={"input": "gate"}, timeout=60)
            statuses.append((asked.status_code, asked.headers.get("retry-after")))

        threads = [threading.Thread(target=ask) for _ in range(LIMITS.queue + 4)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + 10
        while len(statuses) < 3 and time.monotonic() < until:
            time.sleep(0.01)
        refused = list(statuses)
        echo.gate.set()
        for thread in threads:
            thread.join(60)
    assert refused == [(503, "1")] * 3
    assert statuses.count((200, None)) == LIMITS.queue + 1


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/trace", "/v1/stream"])
def test_a_client_that_goes_away_ends_its_work(echo: Echo, path: str) -> None:
    asked = {"inputs": ["slow"]} if path == "/v1/predict" else {"input": " ".join(["slow"] * 20)}
    with serving(application([echo], LIMITS)) as port:
        if path == "/v1/stream":
            with httpx.stream("POST", f"http://127.0.0.1:{port}{path}", json=asked, timeout=5) as answer:
                assert next(answer.iter_lines()) == "event: token"
            until = time.monotonic() + 0.9
        else:
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"http://127.0.0.1:{port}{path}", json=asked, timeout=0.3)
            until = time.monotonic() + 3
            while not echo.stopped and time.monotonic() < until:
                time.sleep(0.01)
            assert echo.stopped
        # The worker is free long before the slow work would have ended.
        answer = httpx.post(f"http://127.0.0.1:{port}/v1/predict", json={"inputs": ["a"]}, timeout=5)
        assert answer.status_code == 200
        assert time.monotonic() < until + 1


def test_what_takes_too_long_is_given_up(echo: Echo) -> None:
    from dataclasses import replace

    with TestClient(application([echo], replace(LIMITS, seconds=0.2)), base_url="http://localhost") as client:
        assert client.post("/v1/predict", json={"inputs": ["slow"]}).status_code == 504
        assert events(client.post("/v1/stream", json={"input": "slow " * 20}).text)[-1][0] == "error"
    assert echo.stopped


def test_shutting_down_finishes_what_is_running(echo: Echo) -> None:
    with serving(application([echo], LIMITS)) as port:
        found: list[int] = []

        def ask() -> None:
            asked = httpx.post(f"http://127.0.0.1:{port}/v1/stream", json={"input": "slow " * 8}, timeout=60)
            found.append(len(events(asked.text)))

        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(0.2)
    thread.join(60)
    assert found == [9]


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/stream"])
def test_what_can_not_be_finished_is_told_of_the_end_at_once(echo: Echo, path: str) -> None:
    app = application([echo], LIMITS)
    slow = " ".join(["slow"] * 38)
    with serving(app) as port:
        found: list[httpx.Response] = []

        def ask() -> None:
            body = {"inputs": [slow]} if path == "/v1/predict" else {"input": slow}
            found.append(httpx.post(f"http://127.0.0.1:{port}{path}", json=body, timeout=60))

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        started = time.monotonic()
        app.leave()
        late = httpx.post(f"http://127.0.0.1:{port}/v1/predict", json={"inputs": ["a"]}, timeout=60)
        assert late.status_code == 503
        for thread in threads:
            thread.join(60)
        assert time.monotonic() - started < 2
    for answer in found:
        if path == "/v1/predict" or answer.status_code != 200:
            assert answer.status_code == 503
        else:
            name, said = events(answer.text)[-1]
            assert (name, said["status"]) == ("error", 503)


def test_state(client: TestClient) -> None:
    client.post("/v1/predict", json={"inputs": ["a", "b"]})
    client.get("/no/such/path")
    assert client.get("/healthz").text == "ok\n"
    assert client.get("/readyz").text == "ready\n"
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert sample(answer.text, "attend_requests_total", path="/v1/predict", status="200") == 1
    assert sample(answer.text, "attend_requests_total", path="other", status="404") == 1
    assert sample(answer.text, "attend_request_seconds_count", path="/v1/predict") == 1
    assert sample(answer.text, "attend_batch_inputs_bucket", model="echo", le="1.0") == 0
    assert sample(answer.text, "attend_batch_inputs_bucket", model="echo", le="2.0") == 1
    assert sample(answer.text, "attend_work_seconds_total", model="echo") > 0
    assert sample(answer.text, "attend_waiting", model="second") == 0


def sample(text: str, name: str, **labels: str) -> float:
    """A value in Prometheus's text form."""
    (value,) = (
        one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
        if (one.name, one.labels) == (name, labels)
    )
    return value


def test_the_page_and_what_it_needs_come_from_here(client: TestClient) -> None:
    page = client.get("/")
    assert '<script src="/explorer.js">' in page.text
    assert "'self'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert client.get("/explorer.js").headers["content-type"].startswith("text/javascript")
    assert client.get("/explorer.css").headers["content-type"].startswith("text/css")
    assert 'id="traces"' in client.get("/page.html").text


def test_the_interface_is_described_offline(client: TestClient) -> None:
    docs = client.get("/docs").text
    document = client.get("/openapi.json").json()
    for path in document["paths"]:
        assert path in docs
    assert "//" not in docs.replace("http://localhost:8000", "")
    assert {
        "/v1/models",
        "/v1/predict",
        "/v1/score",
        "/v1/trace",
        "/v1/stream",
        "/healthz",
        "/readyz",
        "/metrics",
    } == set(document["paths"])
    jsonschema.Draft202012Validator.check_schema(document["components"]["schemas"]["TraceRequest"])


def test_models_need_different_names() -> None:
    for models in ([], [Echo(), Echo()]):
        with pytest.raises(ValueError, match="different names"):
            application(models)
