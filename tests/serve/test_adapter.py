"""Models behind the interface answer as they do in Python, whatever their inputs and outputs."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import models
import numpy as np
import pytest
import torch
from echo import serving
from models import data_uri
from starlette.testclient import TestClient

from attend.attention.trace import PictureEachStep, Tokens, Trace, Weights
from attend.contract import Batch
from attend.decoding import teacher_forced
from attend.fields.grid import Grid
from attend.fields.vectors import Vectors
from attend.model import Model
from attend.outputs import bits, candidate, sequence
from attend.serve.adapter import served
from attend.serve.application import application
from attend.serve.messages import StreamRequest, TraceRequest
from attend.serve.served import Served
from attend.systems import captioner, ntm, pointer
from attend.tasks.drawing import DrawingModel
from attend.tasks.game import PlayerModel

PAIR = {"premise": "two cats sleep", "hypothesis": "a dog runs ."}


def never() -> None:
    pass


def asking(model: Model) -> TestClient:
    return TestClient(application([served("tiny", model)]), base_url="http://localhost")


@pytest.fixture(scope="module")
def translation() -> Model:
    return models.translation()


@pytest.fixture(scope="module")
def client(translation: Model) -> Iterator[TestClient]:
    with asking(translation) as client:
        yield client


@pytest.fixture(scope="module")
def image_classes() -> Served:
    return served("eyes", models.image_classes())


@pytest.fixture(scope="module")
def captions() -> Model:
    return models.captions()


@pytest.fixture(scope="module")
def sentence_pairs() -> Model:
    return models.sentence_pairs()


@pytest.mark.parametrize(
    ("make", "inputs", "output", "beam", "reads"),
    [
        (models.translation, {"source": "text"}, "sequence", 2, "text"),
        (models.captions, {"image": "image"}, "sequence", 1, "image"),
        (models.image_classes, {"image": "image"}, "classes", 1, "image"),
        (models.sentence_pairs, {"premise": "text", "hypothesis": "text"}, "classes", 1, "fields"),
    ],
)
def test_what_a_model_reads_and_gives_is_said(
    make: Callable[[], Model], inputs: dict[str, str], output: str, beam: int, reads: str
) -> None:
    examples = ["ab ba", PAIR, {"premise": "one"}]
    with TestClient(application([served("tiny", make(), examples)]), base_url="http://localhost") as client:
        (model,) = client.get("/v1/models").json()["models"]
    assert model == {
        "name": "tiny",
        "reads": reads,
        "inputs": inputs,
        "longest": {name: 400 for name, kind in inputs.items() if kind == "text"},
        "output": output,
        "steerable": output == "sequence",
        "beam": beam,
        "about": {"recipe": "untrained"},
        "examples": {"text": ["ab ba"], "fields": [PAIR], "image": []}[reads],
    }


@pytest.mark.parametrize("kind", [DrawingModel, PlayerModel])
def test_what_predicts_nothing_is_not_served(kind: type) -> None:
    with pytest.raises(ValueError, match="doodles has no predictions"):
        served("doodles", kind.__new__(kind))


def test_inputs_that_can_not_be_uploaded_are_not_served() -> None:
    model = models.untrained(
        captioner.System,
        captioner.Config(embedding=8, hidden=12, alignment=8),
        {"image": Grid()},
        sequence.Sequence("word", 20),
        sequence.Decoding(1, 0.0, longest=12),
        {"image": [np.zeros((2, 2, 4), dtype=np.float32)]},
        ["red circle"],
    )
    with pytest.raises(ValueError, match=r"features.*'image'.*grid"):
        served("features", model)


# Places among vectors, which are written as text


def test_places_are_predicted_scored_and_traced() -> None:
    system, config = pointer.System, pointer.Config(hidden=8)
    output, how = candidate.Candidate(), candidate.Decoding()
    model = served("points", models.untrained(system, config, {"points": Vectors()}, output, how, POINTS, ["1 2"]))
    ((best, other),) = model.predict(["0.1,1 3,2.5 7,0"], 4, 2, lambda: None)
    assert best.log_prob > other.log_prob
    found = best if best.text else other  # one may end at once
    (score,) = model.score([("0.1,1 3,2.5 7,0", found.text)], lambda: None)
    assert score is not None
    assert score.log_prob == pytest.approx(found.log_prob, abs=1e-5)
    look = model.trace(TraceRequest(model="points", input="0.1,1 3,2.5 7,0"), lambda: None).looks["points"]
    assert isinstance(look, Weights)
    assert look.memory.labels()[1:] == ["1: 0.1,1", "2: 3,2.5", "3: 7,0"]
    with pytest.raises(ValueError, match="target 1 has place 4"):
        model.score([("0.1,1 3,2.5 7,0", "4 1")], lambda: None)


POINTS = {"points": ["0.5,1 2,3"]}


# A sequence from a text


def test_predictions_and_scores(translation: Model, client: TestClient) -> None:
    texts = ["ab ba", "ba", "ab ab ba"]
    expected = translation.predict_many(texts, best=2)
    found = client.post("/v1/predict", json={"inputs": texts, "best": 2}).json()["outputs"]
    assert [[one["text"] for one in several] for several in found] == [
        [one.text for one in several] for several in expected
    ]
    assert found[0][0]["log_prob"] == pytest.approx(expected[0][0].log_prob, abs=1e-5)
    finished = [[one.finished for one in several] for several in expected]
    assert [[one["finished"] for one in several] for several in found] == finished
    pairs = [("ab ba", "x y"), ("ba", "x")]
    scores = client.post("/v1/score", json={"pairs": [{"input": i, "output": o} for i, o in pairs]}).json()["scores"]
    assert [one["log_prob"] for one in scores] == pytest.approx(translation.score(pairs), abs=1e-5)
    assert scores[0]["tokens"] == ["x", "y", "</s>"]


def test_empty_texts_are_kept_and_the_others_answered(translation: Model, client: TestClient) -> None:
    found = client.post("/v1/predict", json={"inputs": ["", "ba", " "]}).json()["outputs"]
    assert [len(several) for several in found] == [0, 1, 0]
    assert found[1][0]["text"] == translation.predict("ba").text
    pairs = [{"input": "", "output": "x"}, {"input": "ba", "output": "x"}, {"input": "ba", "output": " "}]
    scores = client.post("/v1/score", json={"pairs": pairs}).json()["scores"]
    assert [one is None for one in scores] == [True, False, True]
    assert client.post("/v1/score", json={"pairs": pairs[:1]}).json()["scores"] == [None]


def test_unknown_tokens_are_counted(translation: Model, client: TestClient) -> None:
    (found,) = client.post("/v1/predict", json={"inputs": ["\U0001f600"]}).json()["outputs"][0]
    assert found["unknown"] == translation.predict("\U0001f600").unknown() > 0
    pairs = [{"input": "ab", "output": output} for output in ("x", "x \U0001f600")]
    scores = client.post("/v1/score", json={"pairs": pairs}).json()["scores"]
    assert scores[0]["unknown"] == 0 < scores[1]["unknown"]


def test_a_trace_says_how_it_came_about(client: TestClient) -> None:
    body = {"input": "ab ba", "prefix": ["x"], "weights": {"1": [0, 1, 0]}, "beam": 3, "alternatives": 2}
    trace = Trace.from_json(client.post("/v1/trace", json=body).json()["trace"])
    look = trace.looks["source"]
    assert isinstance(look, Weights)
    np.testing.assert_array_equal(look.weights[1], [0, 1, 0])
    assert trace.output.startswith("x")
    assert trace.search
    about = {"model": "tiny", "recipe": "untrained", "beam": "3", "given": "1 tokens", "set by hand": "steps 2"}
    assert trace.about == about
    body["weights"] = {"400": [0, 1, 0]}
    trace = Trace.from_json(client.post("/v1/trace", json=body).json()["trace"])
    assert "set by hand" not in trace.about  # the output ends before that step


def test_evidence_is_given_where_it_is_asked_for(client: TestClient) -> None:
    trace = client.post("/v1/trace", json={"input": "ab ba", "evidence": True, "beam": 1}).json()["trace"]
    assert set(trace["evidence"]["attributions"]) == {"leave-one-out", "gradient x input"}
    answer = client.post("/v1/trace", json={"input": "ab ba", "evidence": True, "weights": {"0": [1, 0, 0]}})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"input": "  "}, "the text is empty"),
        ({"input": "ab", "prefix": [500]}, "prefix has token 500"),
        ({"input": "ab", "weights": {"0": [0.5, 0.5, 0.0]}}, "must be 2 numbers"),
        ({"input": "\ud800"}, "unicode"),
        ({"input": {"sources": "ab"}}, "did you mean 'source'"),
    ],
)
def test_what_the_model_can_not_answer_is_said(client: TestClient, body: dict[str, object], detail: str) -> None:
    for path in ("/v1/trace", "/v1/stream"):
        answer = client.post(path, content=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
        assert detail in answer.text


def test_best_is_at_most_the_beam(client: TestClient) -> None:
    answer = client.post("/v1/predict", json={"inputs": ["ab"], "best": 3})
    assert (answer.status_code, "best is 3" in answer.json()["detail"]) == (422, True)


@pytest.mark.parametrize("path", ["predict", "score"])
def test_work_that_nobody_waits_for_ends(translation: Model, path: str) -> None:
    def stop() -> None:
        raise TimeoutError

    model = served("tiny", translation)
    with pytest.raises(TimeoutError):
        _ = model.predict(["ab"], None, 1, stop) if path == "predict" else model.score([("ab", "x")], stop)


# Streaming


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Callable[[Model, Callable[[int], None]], None]:
    """Has a function called with its number before each step of a model's decoder."""

    def watch(model: Model, before: Callable[[int], None]) -> None:
        step, taken = model.systems[0].step, []  # pyright: ignore[reportAttributeAccessIssue]

        def watched(*given: Any) -> Any:
            taken.append(None)
            before(len(taken))
            return step(*given)

        monkeypatch.setattr(model.systems[0], "step", watched)

    return watch


@pytest.mark.parametrize("kind", ["translation", "captions"])
def test_a_sequence_is_streamed_as_it_is_written(
    kind: str, request: pytest.FixtureRequest, steps: Callable[[Model, Callable[[int], None]], None]
) -> None:
    model: Model = request.getfixturevalue(kind)
    given = "ab ba" if kind == "translation" else data_uri(16)
    begun: list[int] = []
    steps(model, begun.append)
    tokens, at_step = [], []

    def tell(token: dict[str, Any]) -> None:
        tokens.append(token)
        at_step.append(len(begun))

    trace = served("tiny", model).stream(StreamRequest(input=given), tell)
    assert trace.ids is not None
    assert at_step == list(range(1, len(trace.ids) + 1))
    assert [token["id"] for token in tokens] == list(trace.ids)
    look = next(iter(trace.looks.values()))
    assert isinstance(look, Weights)
    np.testing.assert_allclose([token["weights"] for token in tokens], look.weights, atol=1e-5)
    assert trace.about["beam"] == "1"


def test_a_client_has_the_first_words_of_a_caption_before_the_last_ones_are_written(
    captions: Model, steps: Callable[[Model, Callable[[int], None]], None]
) -> None:
    received, in_time = threading.Event(), []

    def wait(number: int) -> None:
        if number == 2:
            in_time.append(received.wait(60))

    steps(captions, wait)
    with serving(application([served("tiny", captions)])) as port:
        body = {"input": data_uri(16), "prefix": ["blue", "circle"]}
        with httpx.stream("POST", f"http://127.0.0.1:{port}/v1/stream", json=body, timeout=90) as answer:
            lines = answer.iter_lines()
            assert next(lines) == "event: token"
            received.set()
            rest = list(lines)
    assert in_time == [True]
    assert rest.count("event: done") == 1


def test_a_stream_has_the_alternatives_that_were_asked_for(captions: Model) -> None:
    model = served("tiny", captions)
    trace = model.stream(StreamRequest(input=data_uri(16), alternatives=3), lambda token: None)
    assert trace.alternatives is not None
    assert len(trace.alternatives) == len(trace.ids or ()) == len(trace.entropies or ())
    assert model.stream(StreamRequest(input=data_uri(16)), lambda token: None).alternatives is None


# A class from an image


def test_an_image_is_answered_with_its_likeliest_classes(image_classes: Served) -> None:
    (several,) = image_classes.predict([data_uri()], None, 3, never)
    assert {output.text for output in several} == {"cat", "dog", "owl"}
    chances = [np.exp(output.log_prob) for output in several]
    assert chances == sorted(chances, reverse=True)
    assert sum(chances) == pytest.approx(1, rel=1e-5)


def test_a_given_class_is_scored(image_classes: Served) -> None:
    ((best,),) = image_classes.predict([data_uri()], None, 1, never)
    (scored,) = image_classes.score([(data_uri(), best.text)], never)
    assert scored.log_prob == pytest.approx(best.log_prob)
    with pytest.raises(ValueError, match="'fish'"):
        image_classes.score([(data_uri(), "fish")], never)


def test_where_it_looked_comes_as_a_trace_and_step_by_step(image_classes: Served) -> None:
    tokens: list[dict[str, Any]] = []
    trace = image_classes.stream(StreamRequest(input=data_uri()), tokens.append)
    assert tokens[-1]["text"] == trace.output
    assert len(tokens) == 3
    assert trace.looks.keys() == {"glimpse"}
    assert trace.media.keys() == {"input"}
    assert trace.about == {"model": "eyes", "recipe": "untrained"}


def test_other_forms_and_sizes_are_made_to_fit(image_classes: Served) -> None:
    (larger,), (same,) = image_classes.predict([data_uri(40, "jpeg"), data_uri()], None, 1, never)
    assert larger.text in ("cat", "dog", "owl")
    assert "resized" in larger.remarks[0]
    assert same.remarks == []
    trace = image_classes.trace(TraceRequest(input=data_uri(40)), never)
    assert "resized" in trace.about["input"]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("a dog runs", "data URI"),
        (__file__, "data URI"),
        ("data:image/png;base64,A", "base64"),
        ("data:image/png;base64,\u00e9", "base64"),
        ("data:image/png;base64,AAAA", "not a PNG, JPEG"),
        ("data:text/html;base64,AAAA", "not a PNG, JPEG"),
        ("data:image/png;base64,", "not a PNG, JPEG"),
    ],
)
def test_what_is_no_image_is_refused(image_classes: Served, given: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        image_classes.predict([given], None, 1, never)


def test_what_a_classifier_lacks_is_said(image_classes: Served) -> None:
    with pytest.raises(ValueError, match="'classes'"):
        image_classes.trace(TraceRequest(input=data_uri(), weights={"0": [1.0]}), never)
    with pytest.raises(ValueError, match="'classes'"):
        image_classes.trace(TraceRequest(input=data_uri(), prefix=["cat"]), never)
    with pytest.raises(ValueError, match="beam"):
        image_classes.predict([data_uri()], 3, 1, never)
    with pytest.raises(ValueError, match="evidence"):
        image_classes.trace(TraceRequest(input=data_uri(), evidence=True), never)


# A sequence from an image


def test_a_caption_s_words_and_looks_can_be_set_by_hand(captions: Model) -> None:
    model = served("words", captions)
    plain = model.trace(TraceRequest(input=data_uri(16), beam=2, alternatives=3), never)
    assert plain.ids
    assert plain.search
    assert plain.alternatives
    assert len(plain.alternatives) == len(plain.ids) == len(plain.entropies or ())
    row = np.eye(4)[2].tolist()
    asked: Any = {"input": data_uri(16), "prefix": ["blue", "circle"], "beam": 1}
    trace = model.trace(TraceRequest(**asked, weights={"1": row}), never)
    assert trace.output.startswith("blue circle")
    look = trace.looks["image"]
    assert isinstance(look, Weights)
    np.testing.assert_array_equal(look.weights[1], row)
    assert trace.about["given"] == "2 tokens"
    assert trace.about["set by hand"] == "steps 2"
    # What is read changes what comes after it, and nothing before.
    free = model.trace(TraceRequest(**asked), never)
    assert trace.scores is not None
    assert free.scores is not None
    assert trace.scores[0] == pytest.approx(free.scores[0])
    assert trace.scores[1] != pytest.approx(free.scores[1], abs=1e-6)
    for wrong in ({"weights": {"0": [1.0]}}, {"prefix": ["dog"]}, {"prefix": [99]}):
        with pytest.raises(ValueError, match=r"must be 4 numbers|can't be written|ids are from"):
            model.trace(TraceRequest.model_validate({"input": data_uri(16), **wrong}), never)


def test_a_beam_gives_several_captions(captions: Model) -> None:
    (several,) = served("words", captions).predict([data_uri(16)], 3, 2, never)
    assert len(several) == 2
    assert several[0].score >= several[1].score


def test_what_a_caption_depends_on_is_what_it_says(captions: Model) -> None:
    trace = served("words", captions).trace(TraceRequest(input=data_uri(16), beam=1, evidence=True), never)
    evidence = trace.evidence
    assert evidence is not None
    assert evidence.look == "image"
    assert trace.ids
    system: Any = captions.systems[0]
    pixels = captions.task.inputs([captions.case(models.image(16))], torch.device("cpu")).inputs["image"]
    target = torch.tensor([trace.ids])

    @torch.no_grad()
    def log_probs(images: torch.Tensor) -> np.ndarray:
        steps = [step.logits[0, 0].log_softmax(-1) for step in teacher_forced(system, Batch({"image": images}), target)]
        return np.array([float(step[token]) for step, token in zip(steps, trace.ids or (), strict=True)])

    # Cells are 2 x 2, of 8 x 8 pixels each: the third is down to the left.
    covered = pixels.clone()
    covered[:, :, 8:, :8] = pixels.mean()
    np.testing.assert_allclose(
        evidence.attributions["leave-one-out"][:, 2], log_probs(pixels) - log_probs(covered), atol=1e-5
    )
    # What is owed to all of an image, to first order, is how log p grows as the image does.
    system.double()
    little = 1e-4
    grown = log_probs(pixels.double() * (1 + little)) - log_probs(pixels.double() * (1 - little))
    system.float()
    np.testing.assert_allclose(evidence.attributions["gradient x input"].sum(1), grown / (2 * little), atol=1e-3)
    assert [changed.attention for changed in evidence.interventions] == ["uniform", "permuted"]
    request = TraceRequest(input=data_uri(16), weights={"0": [0.25] * 4}, evidence=True)
    with pytest.raises(ValueError, match="the model's own attention"):
        served("words", captions).trace(request, never)


# A class from two texts


def test_a_model_of_two_inputs_predicts_and_scores(sentence_pairs: Model) -> None:
    other = {"premise": "a dog runs", "hypothesis": "two cats"}
    expected = [sentence_pairs.predict(given).probabilities for given in (PAIR, other)]
    with asking(sentence_pairs) as client:
        outputs = client.post("/v1/predict", json={"inputs": [PAIR, other], "best": 3}).json()["outputs"]
        for several, likely in zip(outputs, expected, strict=True):
            found = {output["text"]: np.exp(output["log_prob"]) for output in several}
            assert found == pytest.approx(likely, rel=1e-4)
            assert several[0]["text"] == max(likely, key=likely.__getitem__)
        pairs = [{"input": PAIR, "output": name} for name in expected[0]]
        scores = client.post("/v1/score", json={"pairs": pairs}).json()["scores"]
        assert [np.exp(one["log_prob"]) for one in scores] == pytest.approx(list(expected[0].values()), rel=1e-4)


def test_a_trace_of_two_inputs_has_each_token_of_one_beside_those_of_the_other(sentence_pairs: Model) -> None:
    with asking(sentence_pairs) as client:
        trace = Trace.from_json(client.post("/v1/trace", json={"input": PAIR}).json()["trace"])
        stream = client.post("/v1/stream", json={"input": PAIR}).text
    look = trace.looks["premise"]
    assert isinstance(look, Weights)
    assert isinstance(look.steps, Tokens)
    assert isinstance(look.memory, Tokens)
    assert (look.steps.text, look.memory.text) == (PAIR["hypothesis"], PAIR["premise"])
    assert look.weights.shape == (5, 4)
    np.testing.assert_allclose(look.weights.sum(1), 1, rtol=1e-4)
    expected = sentence_pairs.predict(PAIR).weights
    assert expected is not None
    np.testing.assert_allclose(look.weights, expected, atol=1e-5)
    assert stream.count("event: token") == 1
    assert stream.count("event: done") == 1


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("two cats sleep", "premise and hypothesis"),
        ({"premise": "two cats"}, "'hypothesis' is missing"),
        ({**PAIR, "hypotheses": "x"}, "did you mean 'hypothesis'"),
        ({"premise": "two cats", "hypothesis": " "}, "hypothesis: the text is empty"),
    ],
)
def test_an_input_that_is_missing_or_unknown_is_named(sentence_pairs: Model, given: Any, problem: str) -> None:
    with asking(sentence_pairs) as client:
        answer = client.post("/v1/predict", json={"inputs": [given]})
    assert (answer.status_code, problem in answer.json()["detail"]) == (422, True), answer.text


# Bits from vectors


def test_heads_over_memory_slots_come_with_their_stages_and_the_memory() -> None:
    config, examples = ntm.Config(hidden=4, slots=5, size=3), {"sequence": ["10 01"]}
    fields, how = {"sequence": Vectors()}, bits.Decoding()
    model = served("copier", models.untrained(ntm.System, config, fields, bits.Bits(), how, examples, ["1 0"]))
    trace = model.trace(TraceRequest(input="10 01"), never)
    stages = ["content", "gate", "shift"]
    assert [name for name in trace.looks if name.startswith("write: ")] == [f"write: {stage}" for stage in stages]
    memory = trace.media["write"]
    assert isinstance(memory, PictureEachStep)
    assert len(memory.uris) == 4
    with pytest.raises(ValueError, match="'x' as vector 2"):
        model.trace(TraceRequest(input="10 x"), never)
