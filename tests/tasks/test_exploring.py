"""One prediction with all that is asked about it, on a small system with random weights."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from attend.attention.trace import Trace, Weights
from attend.contract import END
from attend.decoding import Ensemble
from attend.systems import rnnsearch, seq2seq
from attend.tasks.exploring import Question, detailed, explore, stream
from attend.tasks.text import Decoding, TextData, TextToText

GREEDY, BEAM = Decoding(beam=1, length_penalty=0.0, longest=1.0), Decoding(beam=3, length_penalty=1.0, longest=1.0)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> TextToText:
    folder: Path = tmp_path_factory.mktemp("task")
    lines = ["ab ba\tx y", "ba ab ab\ty x x", "ab\tx z"]
    (folder / "pairs.tsv").write_text("".join(f"{line}\n" for line in lines))
    data = TextData(train=(str(folder / "pairs.tsv"),), valid=(str(folder / "pairs.tsv"),), unit="word", vocabulary=30)

    def build(source: int, target: int) -> nn.Module:
        return rnnsearch.System(rnnsearch.Config(embedding=6, hidden=6, maxout=6), source, target)

    return TextToText.prepare(build, data, 1, folder, lambda _: None)


@pytest.fixture(scope="module")
def system(task: TextToText) -> Any:
    torch.manual_seed(4)
    system = task.build().eval()
    for parameter in system.parameters():
        nn.init.normal_(parameter, std=0.6)
    return system


def source_look(trace: Trace) -> Weights:
    look = trace.looks["source"]
    assert isinstance(look, Weights)
    return look


def test_a_trace_is_what_predicting_gives(task: TextToText, system: Any) -> None:
    for how in (GREEDY, BEAM):
        predicted = task.predict(system, ["ab ba"], how)[0][0]
        trace = explore(task, system, Question("ab ba"), how)
        assert (trace.output, trace.ids) == (predicted.text, predicted.ids)
        np.testing.assert_allclose(source_look(trace).weights, predicted.weights, atol=1e-6)
        assert Trace.from_json(trace.to_json()).to_json() == trace.to_json()


def test_a_prefix_of_ids_and_text_begins_the_output(task: TextToText, system: Any) -> None:
    (x,) = task.target_codec.encode("x").ids
    trace = explore(task, system, Question("ab ba", prefix=[x, "y z", x]), BEAM)
    assert trace.output.split()[:4] == ["x", "y", "z", "x"]
    whole = explore(task, system, Question("ab ba", prefix=[x, END]), BEAM)
    assert whole.ids == (x, END)


def test_the_search_is_a_tree_with_the_output_in_it(task: TextToText, system: Any) -> None:
    trace = explore(task, system, Question("ab ba ab"), BEAM)
    assert trace.search is not None
    assert trace.ids is not None
    assert {node.fate for node in trace.search} >= {"kept", "pruned"}

    def path(number: int | None) -> list[int]:
        node = None if number is None else trace.search[number]  # type: ignore[index]
        return [] if node is None else [*path(node.parent), node.id]

    paths = {tuple(path(number)): node for number, node in enumerate(trace.search) if node.fate != "pruned"}
    assert trace.ids in paths
    assert trace.scores is not None
    assert paths[trace.ids].score == pytest.approx(sum(trace.scores) / len(trace.ids), abs=1e-5)
    for node in trace.search:
        if node.parent is not None:
            assert trace.search[node.parent].fate == "kept"


def test_alternatives_hold_what_was_written(task: TextToText, system: Any) -> None:
    (z,) = task.target_codec.encode("z").ids
    trace = explore(task, system, Question("ab ba", prefix=[z], alternatives=1), GREEDY)
    assert trace.alternatives is not None
    assert trace.scores is not None
    assert trace.ids is not None
    for choices, written, score in zip(trace.alternatives, trace.ids, trace.scores, strict=True):
        (own,) = [choice for choice in choices if choice.id == written]
        assert own.log_prob == pytest.approx(score, abs=1e-5)
        assert all(choice.text not in ("<pad>", "<s>") for choice in choices)
    # With all of its tokens as alternatives an entropy is theirs, but for the two that are never written.
    trace = explore(task, system, Question("ab ba", alternatives=100), GREEDY)
    assert trace.alternatives is not None
    assert trace.entropies is not None
    for choices, entropy in zip(trace.alternatives, trace.entropies, strict=True):
        chances = np.exp([choice.log_prob for choice in choices])
        rest = 1 - chances.sum()
        least, greatest = -(chances * np.log(chances)).sum(), -rest * np.log(rest / 2) if rest > 1e-6 else 1e-4
        assert least - 1e-4 <= entropy <= least + greatest + 1e-4


def test_a_beginning_that_the_vocabulary_lacks_is_refused(task: TextToText, system: Any) -> None:
    with pytest.raises(ValueError, match="'Ω' can't be written"):
        explore(task, system, Question("ab ba", prefix=["Ω"]), GREEDY)


def test_a_row_set_by_hand_is_in_the_trace(task: TextToText, system: Any) -> None:
    trace = explore(task, system, Question("ab ba", weights={1: [0.0, 1.0, 0.0]}), BEAM)
    assert source_look(trace).weights[1].tolist() == [0, 1, 0]


def test_a_stream_tells_the_greedy_output(task: TextToText, system: Any) -> None:
    told: list[dict[str, Any]] = []
    trace = stream(task, system, Question("ab ba"), GREEDY, told.append)
    assert tuple(token["id"] for token in told) == trace.ids
    np.testing.assert_allclose([token["weights"] for token in told], source_look(trace).weights, atol=1e-6)


def test_evidence_is_what_it_says(task: TextToText, system: Any) -> None:
    trace = explore(task, system, Question("ab ba ab", evidence=True), GREEDY)
    evidence = trace.evidence
    assert evidence is not None
    assert trace.scores is not None
    # Leaving the first word out by hand.
    target = [(text, trace.output) for text in ("ab ba ab", "ba ab")]
    whole, without = task.force(system, target)
    assert trace.ids is not None
    if trace.ids[-1] == END:
        expected = np.array(whole.token_log_probs) - np.array(without.token_log_probs)
        np.testing.assert_allclose(evidence.attributions["leave-one-out"][:, 0], expected, atol=1e-4)
    names = [changed.attention for changed in evidence.interventions]
    assert names == ["uniform", "permuted"]
    cells = len(source_look(trace).memory)
    uniform = {step: [1 / cells] * cells for step in range(len(trace.ids))}
    same = explore(task, system, Question("ab ba ab", trace.ids, uniform), GREEDY)
    assert same.scores is not None
    assert evidence.interventions[0].log_prob == pytest.approx(sum(same.scores), abs=1e-4)


def test_the_gradient_is_that_of_small_changes(task: TextToText, system: Any) -> None:
    trace = explore(task, system, Question("ab ba", evidence=True), GREEDY)
    assert trace.evidence is not None
    found = trace.evidence.attributions["gradient x input"]
    source = task.source_codec.encode("ab ba").ids
    table = system.source_embedding.weight
    step = 1e-3
    with torch.no_grad():
        before = table[source[0]].clone()
        log_probs = []
        for scale in (1 + step, 1 - step):
            table[source[0]] = before * scale
            log_probs.append(explore(task, system, Question("ab ba", trace.ids or ()), GREEDY).scores)
        table[source[0]] = before
    assert log_probs[0] is not None
    assert log_probs[1] is not None
    change = (np.array(log_probs[0]) - np.array(log_probs[1])) / (2 * step)
    np.testing.assert_allclose(found[:, 0], change, atol=5e-3)
    # Nothing is left on the model.
    assert not any(module._forward_hooks for module in system.modules())


def test_systems_without_attention_or_gradient_have_less_evidence(task: TextToText, system: Any) -> None:
    config = seq2seq.Config(embedding=4, hidden=4, layers=1)
    without = seq2seq.System(config, len(task.source_codec), len(task.target_codec)).eval()
    trace = explore(task, without, Question("ab ba", evidence=True, alternatives=2), GREEDY)
    assert trace.evidence is None
    assert trace.looks == {}
    together = explore(task, Ensemble([system, system]), Question("ab ba", evidence=True), GREEDY)
    assert together.evidence is not None
    assert list(together.evidence.attributions) == ["leave-one-out"]


@pytest.mark.parametrize(
    ("question", "complaint"),
    [
        (Question(" "), "the text is empty"),
        (Question("ab", prefix=[999]), "prefix has token 999"),
        (Question("ab", prefix=[2]), "prefix has token 2, which is for padding or the beginning"),
        (Question("ab", weights={0: [1.0]}), "must be 2 numbers"),
        (Question("ab", weights={0: [1.0, 0.0]}, evidence=True), "the model's own attention"),
    ],
)
def test_what_does_not_fit_is_refused(task: TextToText, system: Any, question: Question, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        explore(task, system, question, GREEDY)


def test_work_that_nobody_waits_for_ends(task: TextToText, system: Any) -> None:
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        raise InterruptedError

    with pytest.raises(InterruptedError):
        explore(task, system, Question("ab ba"), BEAM, stop)
    assert calls == 1
    assert math.isfinite(explore(task, system, Question("ab ba"), BEAM).scores[0])  # type: ignore[index]


def test_a_trace_is_detailed_whether_its_output_was_searched_for_or_given(task: TextToText, system: Any) -> None:
    searched = detailed(task, system, task.predict(system, ["ab ba"], BEAM)[0][0].trace(run="x"), BEAM)
    assert searched.about == {"run": "x"}
    assert searched.search
    given = task.force(system, [("ab ba", "x unheard z")])[0].trace()
    found = detailed(task, system, given, BEAM, "x unheard z")
    assert found.output == "x unheard z"
    assert found.search is None
    assert found.alternatives is not None
    assert found.evidence is not None
    assert len(found.alternatives) == len(source_look(found).weights)
