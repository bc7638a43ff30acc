"""One prediction with all that is asked about it, on small systems with random weights."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from attend.attention.trace import Trace, Weights
from attend.contract import END, Answers, Batch, Look
from attend.decoding import teacher_forced
from attend.explore import Query, explain, explore, memory_pictures, stream
from attend.fields.text import Text
from attend.model import Model
from attend.outputs.classes import Classes
from attend.outputs.sequence import Decoding, Sequence
from attend.show.pixels import pixels
from attend.systems import rnnsearch, seq2seq
from small_models import Given, Sorter, model_of, prepared, rows

WORDS = Text("word", 30)
DATA = Given(dict.fromkeys(("train", "valid"), rows(["x y", "x x y", "x z"], source=["ab ba", "ba ab ab", "ab"])))


@pytest.fixture(scope="module")
def searching(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Looks at words, and is searched with a beam."""
    config = rnnsearch.Config(embedding=6, hidden=6, maxout=6)
    how = Decoding(beam=3, length_penalty=1.0, ratio=1.0)
    folder = tmp_path_factory.mktemp("searching")
    fields, output = {"source": WORDS}, Sequence("word", 30)
    task = prepared(folder, rnnsearch.System, fields, output, DATA, config, decoding=how).task
    torch.manual_seed(4)
    model = model_of(task)
    for parameter in model.systems[0].parameters():
        nn.init.normal_(parameter, std=0.6)
    return model


@pytest.fixture(scope="module")
def greedy(searching: Model) -> Model:
    """The same, which takes the likeliest token."""
    return with_beam_of_one(searching)


def with_beam_of_one(model: Model, *systems: nn.Module) -> Model:
    settings = replace(model.config.settings, decoding=Decoding(beam=1, length_penalty=0.0, ratio=1.0))
    task = type(model.task)(model.task.recipe, settings, model.task.fields, model.task.output)
    return model_of(task, *(systems or model.systems))


def asked(model: Model, text: str, *query: Any, **more: Any) -> Trace:
    return explore(model, model.case(text), Query(*query, **more))


def ids_of(model: Model, text: str) -> list[int]:
    output: Any = model.task.output
    return output.field.codec.encode(text).ids


def look_of(trace: Trace, name: str = "source") -> Weights:
    look = trace.looks[name]
    assert isinstance(look, Weights)
    return look


def test_a_trace_is_what_predicting_gives(searching: Model, greedy: Model):
    for model in (searching, greedy):
        predicted, trace = model.predict("ab ba"), asked(model, "ab ba")
        assert (trace.output, trace.ids) == (predicted.text, predicted.ids)
        np.testing.assert_allclose(look_of(trace).weights, predicted.weights, atol=1e-6)
        assert Trace.from_json(trace.to_json()).to_json() == trace.to_json()
    assert asked(searching, "ab ba", beam=1).ids == greedy.predict("ab ba").ids


def test_a_prefix_of_ids_and_text_begins_the_output(searching: Model):
    (x,) = ids_of(searching, "x")
    assert asked(searching, "ab ba", [x, "y z", x]).output.split()[:4] == ["x", "y", "z", "x"]
    assert asked(searching, "ab ba", [x, END]).ids == (x, END)


def test_the_search_is_a_tree_with_the_output_in_it(searching: Model):
    trace = asked(searching, "ab ba ab")
    nodes, ids, scores = trace.search, trace.ids, trace.scores
    assert nodes is not None
    assert ids is not None
    assert scores is not None
    assert {node.fate for node in nodes} >= {"kept", "pruned"}

    def path(number: int | None) -> list[int]:
        return [] if number is None else [*path(nodes[number].parent), nodes[number].id]  # type: ignore[index]

    paths = {tuple(path(number)): node for number, node in enumerate(nodes) if node.fate != "pruned"}
    assert paths[ids].score == pytest.approx(sum(scores) / len(ids), abs=1e-5)
    # The score of every node is the log-probability of its path, over its length.
    system, batch = searching.system, searching.task.inputs([searching.case("ab ba ab")], torch.device("cpu"))
    for number, node in enumerate(nodes):
        tokens = path(number)
        steps = teacher_forced(system, batch, torch.tensor([tokens]))
        logs = [
            float(step.logits[0, 0].detach().log_softmax(0)[token]) for token, step in zip(tokens, steps, strict=True)
        ]
        assert node.score == pytest.approx(sum(logs) / len(tokens), abs=1e-4)
        assert node.log_prob == pytest.approx(logs[-1], abs=1e-4)
        assert node.parent is None or nodes[node.parent].fate == "kept"
    assert asked(searching, "ab ba ab", beam=1).search is None


def test_alternatives_hold_what_was_written(greedy: Model):
    (z,) = ids_of(greedy, "z")
    trace = asked(greedy, "ab ba", [z], alternatives=1)
    assert trace.alternatives is not None
    for choices, written, score in zip(trace.alternatives, trace.ids or (), trace.scores or (), strict=True):
        (own,) = [choice for choice in choices if choice.id == written]
        assert own.log_prob == pytest.approx(score, abs=1e-5)
        assert all(choice.text not in ("<pad>", "<begin>") for choice in choices)
    # With all of its tokens as alternatives an entropy is theirs, but for the two that are never written.
    trace = asked(greedy, "ab ba", alternatives=100)
    assert trace.alternatives is not None
    for choices, entropy in zip(trace.alternatives, trace.entropies or (), strict=True):
        chances = np.exp([choice.log_prob for choice in choices])
        rest = 1 - chances.sum()
        least, greatest = -(chances * np.log(chances)).sum(), -rest * np.log(rest / 2) if rest > 1e-6 else 1e-4
        assert least - 1e-4 <= entropy <= least + greatest + 1e-4


def test_a_row_set_by_hand_is_in_the_trace(searching: Model):
    own = look_of(asked(searching, "ab ba")).weights
    trace = asked(searching, "ab ba", weights={1: [0.0, 1.0, 0.0]})
    assert look_of(trace).weights[1].tolist() == [0, 1, 0]
    np.testing.assert_allclose(look_of(trace).weights[0], own[0], atol=1e-6)


def test_a_stream_tells_the_greedy_output(searching: Model, greedy: Model):
    told: list[dict[str, Any]] = []
    trace = stream(searching, searching.case("ab ba"), Query(alternatives=2), told.append)
    assert trace.ids == greedy.predict("ab ba").ids
    assert tuple(token["id"] for token in told) == trace.ids
    np.testing.assert_allclose([token["weights"] for token in told], look_of(trace).weights, atol=1e-6)
    assert [len(step) >= 2 for step in trace.alternatives or ()] == [True] * len(told)


def test_evidence_is_what_it_says(greedy: Model):
    trace = asked(greedy, "ab ba ab", evidence=True)
    evidence, ids = trace.evidence, trace.ids
    assert evidence is not None
    assert ids is not None
    assert evidence.look == "source"
    # Leaving each word out by hand.
    whole = asked(greedy, "ab ba ab", ids).scores
    for cell, without in enumerate(("ba ab", "ab ab", "ab ba")):
        expected = np.array(whole) - np.array(asked(greedy, without, ids).scores)
        np.testing.assert_allclose(evidence.attributions["leave-one-out"][:, cell], expected, atol=1e-4)
    assert [changed.attention for changed in evidence.interventions] == ["uniform", "permuted"]
    cells = len(look_of(trace).memory)
    same = asked(greedy, "ab ba ab", ids, {step: [1 / cells] * cells for step in range(len(ids))})
    assert evidence.interventions[0].log_prob == pytest.approx(sum(same.scores or ()), abs=1e-4)


def test_systems_without_attention_or_gradient_have_less_evidence(greedy: Model):
    config = seq2seq.Config(embedding=4, hidden=4, layers=1)
    without = with_beam_of_one(greedy, seq2seq.System(config, **greedy.task.sizes()))
    trace = asked(without, "ab ba", evidence=True, alternatives=2)
    assert trace.evidence is None
    assert trace.looks == {}
    together = asked(with_beam_of_one(greedy, *greedy.systems * 2), "ab ba", evidence=True)
    assert together.evidence is not None
    assert list(together.evidence.attributions) == ["leave-one-out"]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        (Query(["Ω"]), "'Ω'"),
        (Query([999]), "prefix has token 999"),
        (Query([2]), "prefix has token 2"),
        (Query(weights={0: [1.0]}), "must be 2 numbers"),
        (Query(weights={0: [1.0, 0.0]}, evidence=True), "evidence"),
    ],
)
def test_what_does_not_fit_is_refused(query: Query, named: str, searching: Model):
    with pytest.raises(ValueError, match=named):
        explore(searching, searching.case("ab"), query)


def test_work_that_nobody_waits_for_ends(searching: Model):
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        raise InterruptedError

    with pytest.raises(InterruptedError):
        explore(searching, searching.case("ab ba"), Query(), stop)
    assert calls == 1


def test_a_prediction_is_explained_whether_it_was_searched_for_or_given(searching: Model):
    found = searching.predict("ab ba")
    searched = explain(searching, found)
    assert (searched.output, searched.ids) == (found.text, found.ids)
    assert searched.search
    assert searched.evidence is not None
    given = explain(searching, searching.attention("ab ba", "x unheard z"), "x unheard z")
    assert given.output == "x unheard z"
    assert given.search is None
    assert given.evidence is not None
    assert len(given.alternatives or ()) == len(look_of(given).weights) == 4


# An output that is given in one go


class Bag(nn.Module):
    """The class by the sum of its words' rows; a look at each alike."""

    def __init__(self, config: Any, source_vocabulary: int, target_classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(source_vocabulary, target_classes)

    def answer(self, batch: Batch) -> Answers:
        source = batch.inputs["source"]
        logits = (self.embedding(source.values) * source.mask.unsqueeze(-1)).sum(1, keepdim=True)
        return Answers(logits, {"all": Look((source.mask / source.mask.sum(1, keepdim=True)).unsqueeze(1), "source")})


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Model:
    data = Given(dict.fromkeys(("train", "valid"), rows(["p", "q"], source=["ab ba", "ba c"])))
    torch.manual_seed(1)
    return model_of(prepared(tmp_path_factory.mktemp("bag"), Bag, {"source": WORDS}, Classes(), data).task)


def test_a_class_has_evidence_over_what_it_looked_at(bag: Model):
    trace = asked(bag, "ab c ba", evidence=True)
    assert trace.evidence is not None
    assert (trace.evidence.look, trace.evidence.interventions) == ("all", ())
    answer = bag.predict("ab c ba")
    for cell, without in enumerate(("c ba", "ab ba", "ab c")):
        expected = answer.log_prob - bag.score([(without, answer.text)])[0]
        assert trace.evidence.attributions["leave-one-out"][0, cell] == pytest.approx(expected, abs=1e-5)
    # Of a sum of rows the gradient by each row is the same one: that of log softmax.
    system: Any = bag.systems[0]
    table = system.embedding.weight.detach()
    ids = bag.case("ab c ba")["source"].encoded
    likely = table[ids].sum(0).softmax(0)
    slope = torch.eye(2)[answer.ids[0]] - likely
    expected = (table[ids] * slope).sum(1)
    np.testing.assert_allclose(trace.evidence.attributions["gradient x input"][0], expected, atol=1e-5)
    assert explain(bag, answer).evidence is not None


def test_a_search_that_needs_more_memory_than_there_is_is_refused(searching: Model):
    with pytest.raises(ValueError, match=r"memory.*beam"):
        asked(searching, "ab ba", beam=10**9)


def test_what_a_class_lacks_is_said(bag: Model, tmp_path: Path):
    for query, named in (
        (Query(["x"]), "'classes'.*prefix"),
        (Query(weights={0: [1.0]}), "'classes'.*weights"),
        (Query(beam=2), "beam.*'classes'"),
    ):
        with pytest.raises(ValueError, match=named):
            explore(bag, bag.case("ab"), query)
    # Evidence is about one answer, and here are looks of two steps.
    data = Given(dict.fromkeys(("train", "valid"), rows(["p", "q"], text=["ab ba", "ba c"])))
    sorter = model_of(prepared(tmp_path, Sorter, {"text": WORDS}, Classes(), data).task)
    with pytest.raises(ValueError, match="evidence"):
        explore(sorter, sorter.case("ab"), Query(evidence=True))
    assert explain(sorter, sorter.predict("ab")).evidence is None


def test_a_stream_of_classes_tells_the_likeliest_after_each_step(tmp_path: Path):
    data = Given(dict.fromkeys(("train", "valid"), rows(["p", "q"], text=["ab ba", "ba c"])))
    sorter = model_of(prepared(tmp_path, Sorter, {"text": WORDS}, Classes(), data).task)
    told: list[dict[str, Any]] = []
    trace = stream(sorter, sorter.case("ab"), Query(beam=3), told.append)
    assert len(told) == 2
    assert told[-1]["text"] == trace.output == sorter.predict("ab").text
    assert told[-1]["log_prob"] == pytest.approx(sorter.predict("ab").log_prob, abs=1e-5)


def test_a_memory_is_pictured_with_a_row_for_each_slot_and_zero_in_grey():
    memory = np.zeros((2, 3, 4))
    memory[0, 1, 2], memory[1, 2, 0] = -2.0, 1.0
    first, second = (pixels(uri)[..., 0] for uri in memory_pictures(memory).uris)
    assert first.shape == (3, 4)
    assert (first[0, 0], first[1, 2], second[2, 0]) == (128, 0, 191)
