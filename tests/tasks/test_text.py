"""Text in, text out, around a decoder whose every move is known."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from attend.attention.trace import Named, Tokens, Weights
from attend.data.codec import Codec
from attend.data.files import Pair
from attend.decoding import Hypothesis
from attend.recipes.recipe import Settings
from attend.systems import rnnsearch_modern
from attend.tasks.text import Decoding, Prediction, TextData, TextToText, groups, replace_unknown, source_axis
from attend.training import Training, train

CODEC = Codec.train(["a b c d e f g"], "word", 50)


def prediction(source: str, output: str, weights: list[list[float]]) -> Prediction:
    task = TextToText(lambda *_: nn.Identity(), TextData(), CODEC, CODEC)
    ids = [*CODEC.encode(output).ids, 3]
    found = Hypothesis(ids, -1.0, -0.5, [-0.5] * len(ids), np.array(weights, dtype=np.float32), True)
    return task.prediction(CODEC.encode(source), found)


def test_a_trace_has_every_token_and_its_place():
    found = prediction("a b", "c d", [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.0, 0.0, 1.0]])
    look = found.trace(run="here").looks["source"]
    assert isinstance(look, Weights)
    assert look.steps.labels() == ["c", "d", "</s>"]
    assert look.memory.labels() == ["a", "b", "</s>"]
    assert isinstance(look.memory, Tokens)
    assert [(token.start, token.end) for token in look.memory.tokens] == [(0, 1), (2, 3), (None, None)]
    assert found.trace(run="here").about == {"run": "here"}


def test_a_summary_is_named_as_one():
    assert source_axis(CODEC.encode("a b"), 1) == Named(("summary",))


def test_a_prediction_draws_itself():
    found = prediction("a b", "c", [[0.8, 0.1, 0.1], [0.0, 0.0, 1.0]])
    assert found._repr_html_().startswith("<iframe")
    assert str(found).startswith("c\n")
    assert "*" in str(found)


def test_unknown_words_come_from_where_the_model_looked():
    weights = [[0.1, 0.7, 0.1, 0.1], [0.6, 0.1, 0.1, 0.2], [0.1, 0.1, 0.1, 0.7], [0.0, 0.0, 0.0, 1.0]]
    found = prediction("Xaver Yves a", "zz b zz", weights)
    # The third word looks at the end most, which is no word: the next best is taken.
    assert replace_unknown(found) == "Yves b Xaver"
    assert replace_unknown(found, {"Yves": "Ivo"}) == "Ivo b Xaver"


def test_a_word_that_looks_unknown_is_not():
    codec = Codec.train(["<unk> a"], "word", 50)
    task = TextToText(lambda *_: nn.Identity(), TextData(), codec, codec)
    weights = np.array([[0.9, 0.1]], dtype=np.float32)
    found = Hypothesis(codec.encode("<unk>").ids, 0.0, 0.0, [0.0], weights, False)
    assert replace_unknown(task.prediction(codec.encode("a"), found)) == "<unk>"


def test_groups_hold_like_lengths_within_their_limits():
    assert list(groups([3, 1, 2, 9], sentences=2, tokens=6)) == [[1, 2], [0], [3]]
    assert list(groups([2, 2, 2], sentences=64, tokens=4)) == [[0, 1], [2]]
    assert list(groups([], 64)) == []


def test_unknown_words_need_attention():
    with pytest.raises(ValueError, match="through attention"):
        replace_unknown(replace(prediction("a", "b", [[1.0, 0.0], [0.0, 1.0]]), weights=None))


@pytest.fixture(scope="module")
def spelling(tmp_path_factory: pytest.TempPathFactory) -> tuple[TextToText, nn.Module]:
    """A model that has learnt to spell backwards in a few seconds."""
    folder = tmp_path_factory.mktemp("spelling")
    generate = np.random.default_rng(0)

    def write(name: str, count: int) -> str:
        words = ["".join(generate.choice(list("abcdefgh"), generate.integers(2, 9))) for _ in range(count)]
        (folder / name).write_text("".join(f"{word}\t{word[::-1]}\n" for word in words))
        return str(folder / name)

    settings = Settings(
        rnnsearch_modern.Config(32, 32, 32, "additive", 0.0, 0.0, 0.0, 0.0),
        TextData(
            train=(write("train.tsv", 3000),), valid=(write("valid.tsv", 100),), unit="character", batch_sentences=32
        ),
        Training(epochs=4, learning_rate=1e-2, watch="exact_match"),
        Decoding(beam=1),
    )

    def build(source: int, target: int) -> nn.Module:
        return rnnsearch_modern.System(settings.system, source, target)

    task = TextToText.prepare(build, settings.data, 1, folder, lambda line: None)
    train(task, settings.training, folder, False, lambda *_: None)
    system = task.build()
    from safetensors.torch import load_file

    system.load_state_dict(load_file(folder / "model.safetensors"))
    return task, system.eval()


def outputs(found: Sequence[Sequence[Prediction]]) -> list[str]:
    return [several[0].text if several else "" for several in found]


def test_a_copying_task_is_learnt_in_seconds_with_the_right_alignment(spelling: tuple[TextToText, nn.Module]):
    task, system = spelling
    assert task.measure(system)["exact_match"] >= 0.95
    words = ["abcd", "hgfedc"]
    for word, several in zip(words, task.predict(system, words, Decoding(beam=1)), strict=True):
        assert several[0].text == word[::-1]
        weights = several[0].weights
        assert weights is not None
        assert weights[: len(word)].argmax(1).tolist() == list(range(len(word)))[::-1]


def test_a_reference_of_any_length_can_be_written_when_weights_are_chosen(
    spelling: tuple[TextToText, nn.Module], monkeypatch: pytest.MonkeyPatch
):
    task, system = spelling
    asked: list[Decoding] = []
    plain = task.predict

    def predict(system: nn.Module, sources: Sequence[str], how: Decoding) -> list[list[Prediction]]:
        asked.append(how)
        return plain(system, sources, how)

    monkeypatch.setattr(task, "predict", predict)
    task.measure(system)
    monkeypatch.setattr(task, "valid", [*task.valid[:3], Pair(1, "a", "b" * 40)])
    task.measure(system)
    # 41 tokens with END, of which 10 are spare, for a source of two.
    assert [how.longest for how in asked] == [2.0, 16]


def test_order_and_empty_lines_are_kept_whatever_the_batch(spelling: tuple[TextToText, nn.Module]):
    task, system = spelling
    lines = ["abc", "", "hgfedcba", "ab", "   ", "cd"]
    expected = ["cba", "", "abcdefgh", "ba", "", "dc"]
    for sentences in (1, 2, 64):
        assert outputs(task.predict(system, lines, Decoding(beam=3), sentences=sentences)) == expected


def test_forcing_the_output_gives_its_score_and_attention_again(spelling: tuple[TextToText, nn.Module]):
    task, system = spelling
    found = task.predict(system, ["abcde", "fgh"], Decoding(beam=2))
    again = task.force(system, [("abcde", found[0][0].text), ("fgh", found[1][0].text)])
    for (best, *_), forced in zip(found, again, strict=True):
        assert forced.log_prob == pytest.approx(best.log_prob, abs=1e-4)
        assert forced.weights is not None
        assert best.weights is not None
        np.testing.assert_allclose(forced.weights, best.weights, atol=1e-5)


def test_samples_come_in_the_number_asked_for_and_by_their_seed(spelling: tuple[TextToText, nn.Module]):
    task, system = spelling

    def draw() -> list[str]:
        generator = torch.Generator().manual_seed(3)
        found = task.predict(system, ["abcd"], Decoding(), samples=4, generator=generator)
        return [one.text for one in found[0]]

    assert len(draw()) == 4
    assert draw() == draw()


def test_an_empty_side_can_not_be_scored(spelling: tuple[TextToText, nn.Module]):
    task, system = spelling
    for wrong in ("ab ba", ("ab",), ("ab", 3)):
        with pytest.raises(TypeError, match="pair 1 must be two texts, a source and a target"):
            task.force(system, [wrong])
    with pytest.raises(ValueError, match="pair 2 has an empty side"):
        task.force(system, [("ab", "ba"), ("ab", " ")])


def test_training_needs_both_parts(tmp_path: Path):
    with pytest.raises(ValueError, match=r"data\.train is not set"):
        TextToText.prepare(lambda *_: nn.Identity(), TextData(), 1, tmp_path, print)
