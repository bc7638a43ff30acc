"""A trained model behind the interface gives what it gives in Python."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from starlette.testclient import TestClient
from torch import nn

from attend.attention.trace import Trace, Weights
from attend.serve.application import application
from attend.serve.text import TextModel
from attend.systems import rnnsearch
from attend.tasks.text import Decoding, TextData, TextToText

HOW = Decoding(beam=2, length_penalty=1.0, longest=1.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TextModel:
    folder: Path = tmp_path_factory.mktemp("model")
    (folder / "pairs.tsv").write_text("ab ba\tx y\nba ab ab\ty x x\n")
    paths = (str(folder / "pairs.tsv"),)

    def build(source: int, target: int) -> nn.Module:
        return rnnsearch.System(rnnsearch.Config(embedding=6, hidden=6, maxout=6), source, target)

    data = TextData(train=paths, valid=paths, unit="word", vocabulary=30)
    task = TextToText.prepare(build, data, 1, folder, lambda _: None)
    torch.manual_seed(2)
    system = task.build().eval()
    for parameter in system.parameters():
        nn.init.normal_(parameter, std=0.6)
    return TextModel("tiny", task, system, HOW, {"recipe": "none"}, ("ab ba",))


@pytest.fixture(scope="module")
def client(model: TextModel) -> Iterator[TestClient]:
    with TestClient(application([model]), base_url="http://localhost") as client:
        yield client


def test_predictions_and_scores(model: TextModel, client: TestClient) -> None:
    texts = ["ab ba", "ba", "ab ab ba"]
    expected = model.task.predict(model.decoder, texts, HOW, 2)
    found = client.post("/v1/predict", json={"inputs": texts, "best": 2}).json()["outputs"]
    assert [[one["text"] for one in several] for several in found] == [
        [one.text for one in several] for several in expected
    ]
    assert found[0][0]["log_prob"] == pytest.approx(expected[0][0].log_prob, abs=1e-5)
    pairs = [("ab ba", "x y"), ("ba", "x")]
    scores = client.post("/v1/score", json={"pairs": [{"input": i, "output": o} for i, o in pairs]}).json()["scores"]
    assert [one["log_prob"] for one in scores] == pytest.approx(
        [one.log_prob for one in model.task.force(model.decoder, pairs)], abs=1e-5
    )


def test_a_trace_says_how_it_came_about(client: TestClient) -> None:
    asked = {"input": "ab ba", "prefix": ["x"], "weights": {"1": [0, 1, 0]}, "beam": 3, "alternatives": 2}
    trace = Trace.from_json(client.post("/v1/trace", json=asked).json()["trace"])
    look = trace.looks["source"]
    assert isinstance(look, Weights)
    np.testing.assert_array_equal(look.weights[1], [0, 1, 0])
    assert trace.output.startswith("x")
    assert trace.search
    about = {"model": "tiny", "recipe": "none", "beam": "3", "given": "1 tokens", "set by hand": "steps 2"}
    assert trace.about == about
    asked["weights"] = {"400": [0, 1, 0]}
    trace = Trace.from_json(client.post("/v1/trace", json=asked).json()["trace"])
    assert "set by hand" not in trace.about  # the output ends before that step


def test_evidence_is_given_where_it_is_asked_for(client: TestClient) -> None:
    trace = client.post("/v1/trace", json={"input": "ab ba", "evidence": True, "beam": 1}).json()["trace"]
    assert set(trace["evidence"]["attributions"]) == {"leave-one-out", "gradient x input"}
    answer = client.post("/v1/trace", json={"input": "ab ba", "evidence": True, "weights": {"0": [1, 0, 0]}})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("asked", "detail"),
    [
        ({"input": "  "}, "the text is empty"),
        ({"input": "ab", "prefix": [500]}, "prefix has token 500"),
        ({"input": "ab", "weights": {"0": [0.5, 0.5, 0.0]}}, "must be 2 numbers"),
        ({"input": "\ud800"}, "unicode"),
    ],
)
def test_what_the_model_can_not_answer_is_said(client: TestClient, asked: dict[str, object], detail: str) -> None:
    for path in ("/v1/trace", "/v1/stream"):
        answer = client.post(path, content=json.dumps(asked).encode(), headers={"Content-Type": "application/json"})
        assert detail in answer.text


def test_best_is_at_most_the_beam(client: TestClient) -> None:
    answer = client.post("/v1/predict", json={"inputs": ["ab"], "best": 3})
    assert (answer.status_code, "best is 3" in answer.json()["detail"]) == (422, True)
