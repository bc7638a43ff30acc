"""Search is held against enumeration, on a decoder whose every distribution depends on the whole history."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from attend.attention.memory import Memory, Read
from attend.attention.normalise import softmax
from attend.contract import BEGIN, END, PAD, UNKNOWN, Batch, State, Step
from attend.decoding import (
    Ensemble,
    Hypothesis,
    Looks,
    Shuffled,
    Taken,
    beam_search,
    forced,
    greedy,
    likeliest,
    sample,
    teacher_forced,
)
from attend.fields.field import stack_cells
from attend.systems import rnnsearch, seq2seq

HISTORIES = 997


@dataclass(frozen=True)
class Sources:
    """An example is a number, which decides on its distributions, and as many real cells as `lengths` says."""

    numbers: list[int]
    lengths: list[int]

    def __len__(self) -> int:
        return len(self.numbers)

    def single(self, example: int) -> "Sources":
        return Sources([self.numbers[example]], [self.lengths[example]])


@dataclass
class Toy:
    """Tables of logits and scores, one row a history; the number of an example is known from its memory alone."""

    seed: int
    vocabulary: int = 6
    cells: int = 5
    sharpness: float = 1.5
    reads: bool = True
    calls: list[tuple[int, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(self.seed)
        self.logits = self.sharpness * torch.randn(HISTORIES, self.vocabulary, generator=generator)
        self.scores = 3 * torch.randn(HISTORIES, self.cells, generator=generator)

    def start(self, batch: Sources) -> State:
        mask = torch.arange(self.cells) < torch.tensor(batch.lengths).unsqueeze(1)
        numbers = torch.tensor(batch.numbers, dtype=torch.float32)
        values = numbers.reshape(-1, 1, 1).expand(-1, self.cells, 1)
        return State(Memory(values, values, mask), {"history": torch.zeros(len(batch), 1)})

    def step(self, token: Tensor, state: State) -> Step:
        assert state.memory is not None
        self.calls.append(tuple(token.shape))
        assert state.memory.values.shape == (len(token), self.cells, 1)  # one an example, however many hypotheses
        assert state.hidden["history"].shape == token.shape
        history = (state.hidden["history"] * 31 + token + 1 + state.memory.values[:, :1, 0]) % HISTORIES
        rows = history.long()
        weights = softmax(self.scores[rows], state.memory.mask).weights
        read = Read(weights @ state.memory.values, weights) if self.reads else None
        return Step(self.logits[rows], State(state.memory, {"history": history}), read)


def replay(toy: Toy, number: int, length: int, tokens: Sequence[int]) -> tuple[list[float], np.ndarray]:
    """What the toy says of one output, in plain arithmetic: each token's log-probability, and the weights."""
    history, log_probs, weights = 0, [], []
    for before, token in zip([BEGIN, *tokens], tokens, strict=False):
        history = (history * 31 + before + 1 + number) % HISTORIES
        logits = toy.logits[history].double().numpy()
        log_probs.append(float(logits[token] - np.log(np.exp(logits).sum())))
        scores = np.exp(toy.scores[history, :length].double().numpy())
        weights.append(scores / scores.sum())
    return log_probs, np.array(weights)


def enumerate_finished(toy: Toy, number: int, longest: int, alpha: float) -> list[tuple[float, list[int]]]:
    """Every finished output of up to `longest` tokens with its score, best first."""
    words = [token for token in range(toy.vocabulary) if token not in (PAD, BEGIN, END)]
    found = []
    for length in range(1, longest + 1):
        for start in product(words, repeat=length - 1):
            log_probs, _ = replay(toy, number, 1, [*start, END])
            found.append((sum(log_probs) / length**alpha, [*start, END]))
    return sorted(found, reverse=True)


def check(toy: Toy, sources: Sources, found: list[list[Hypothesis]]) -> None:
    """What is true of any hypothesis: its figures are the toy's, and its weights are those of its own history."""
    assert len(found) == len(sources)
    for number, length, outputs in zip(sources.numbers, sources.lengths, found, strict=True):
        for output in outputs:
            log_probs, weights = replay(toy, number, length, output.tokens)
            assert output.token_log_probs == pytest.approx(log_probs, abs=1e-5)
            assert output.log_prob == pytest.approx(sum(log_probs), abs=1e-4)
            assert output.weights is not None
            assert output.weights.dtype == np.float32
            assert output.weights.shape == (len(output.tokens), length)
            np.testing.assert_allclose(output.weights, weights, atol=1e-6)
            assert output.tokens[-1] == END
            assert END not in output.tokens[:-1]
            assert not {PAD, BEGIN} & set(output.tokens)


def same(found: Hypothesis, expected: Hypothesis) -> None:
    assert found.tokens == expected.tokens
    assert found.finished == expected.finished
    assert found.log_prob == pytest.approx(expected.log_prob, abs=1e-5)
    assert found.score == pytest.approx(expected.score, abs=1e-5)
    assert found.token_log_probs == pytest.approx(expected.token_log_probs, abs=1e-5)
    assert found.weights is not None
    assert expected.weights is not None
    np.testing.assert_allclose(found.weights, expected.weights, atol=1e-6)


seeds = st.integers(0, 10_000)
alphas = st.sampled_from([0.0, 0.6, 1.0])
batches = st.lists(st.tuples(st.integers(0, 500), st.integers(1, 5)), min_size=1, max_size=5).map(
    lambda pairs: Sources([number for number, _ in pairs], [length for _, length in pairs])
)
quick = settings(max_examples=25, deadline=None)


@quick
@given(seeds, batches, alphas, st.integers(1, 4))
def test_wide_beam_finds_the_best_of_all_outputs(seed: int, sources: Sources, alpha: float, longest: int) -> None:
    toy = Toy(seed)
    found = beam_search(toy, sources, longest, width=4**4, length_penalty=alpha, best=3)
    check(toy, sources, found)
    for number, outputs in zip(sources.numbers, found, strict=True):
        expected = enumerate_finished(toy, number, longest, alpha)[:3]
        finished = [output for output in outputs if output.finished]
        assert [output.tokens for output in finished] == [tokens for _, tokens in expected]
        assert [output.score for output in finished] == pytest.approx([score for score, _ in expected], abs=1e-5)


@quick
@given(seeds, batches, alphas, st.integers(2, 6))
def test_narrow_beam_gives_sound_hypotheses_best_first(seed: int, sources: Sources, alpha: float, width: int) -> None:
    toy = Toy(seed)
    found = beam_search(toy, sources, 8, width, alpha, best=width)
    check(toy, sources, found)
    for outputs in found:
        assert len(outputs) == width
        assert len({tuple(output.tokens) for output in outputs}) == width
        assert outputs == sorted(outputs, key=lambda output: (not output.finished, -output.score))
        for output in outputs:
            assert output.score == pytest.approx(output.log_prob / len(output.tokens) ** alpha)


@quick
@given(seeds, batches, alphas)
def test_beam_of_one_is_greedy(seed: int, sources: Sources, alpha: float) -> None:
    toy = Toy(seed)
    likeliest = greedy(toy, sources, 12)
    check(toy, sources, likeliest)
    for (expected,), (found,) in zip(likeliest, beam_search(toy, sources, 12, 1, alpha), strict=True):
        assert found.tokens == expected.tokens
        assert found.log_prob == expected.log_prob == expected.score


@quick
@given(seeds, batches)
def test_greedy_takes_the_likeliest_token(seed: int, sources: Sources) -> None:
    toy = Toy(seed)
    for number, (output,) in zip(sources.numbers, greedy(toy, sources, 6), strict=True):
        for step, token in enumerate(output.tokens[:6]):
            others = [other for other in range(toy.vocabulary) if other not in (PAD, BEGIN)]
            log_probs = [replay(toy, number, 1, [*output.tokens[:step], other])[0][-1] for other in others]
            assert token == others[int(np.argmax(log_probs))]


@quick
@given(seeds, batches, alphas)
def test_batch_gives_what_its_examples_give_alone(seed: int, sources: Sources, alpha: float) -> None:
    toy = Toy(seed)
    limits = torch.tensor([3 + number % 5 for number in sources.numbers])
    together = beam_search(toy, sources, limits, 4, alpha, best=3)
    together_greedy = greedy(toy, sources, limits)
    for example in range(len(sources)):
        (alone,) = beam_search(toy, sources.single(example), int(limits[example]), 4, alpha, best=3)
        for found, expected in zip(together[example], alone, strict=True):
            same(found, expected)
        (alone,) = greedy(toy, sources.single(example), int(limits[example]))
        same(together_greedy[example][0], alone[0])


@quick
@given(seeds, batches)
def test_forced_scores_what_search_found(seed: int, sources: Sources) -> None:
    toy = Toy(seed)
    found = [outputs[-1] for outputs in beam_search(toy, sources, 7, 3, best=3)]
    scored = forced(toy, sources, [output.tokens for output in found])
    for again, output in zip(scored, found, strict=True):
        same(again, replace(output, finished=True))  # END was put behind what was cut: it is scored too


def test_forced_scores_tokens_that_search_never_gives() -> None:
    toy, sources = Toy(1), Sources([7, 8], [2, 5])
    targets = [[PAD, BEGIN, 4, END], [UNKNOWN, END]]
    for output, number, length, target in zip(forced(toy, sources, targets), [7, 8], [2, 5], targets, strict=True):
        log_probs, weights = replay(toy, number, length, target)
        assert output.tokens == target
        assert output.token_log_probs == pytest.approx(log_probs, abs=1e-5)
        assert output.weights is not None
        np.testing.assert_allclose(output.weights, weights, atol=1e-6)


def test_bad_early_end_does_not_stop_a_beam() -> None:
    """END comes second at once and a step later, while the best output has three tokens."""
    toy = Toy(0)
    toy.logits = torch.full((HISTORIES, 6), -9.0)
    toy.logits[:, 4], toy.logits[:, END] = 3.0, 0.0
    history = 0
    for before in (BEGIN, 4, 4):
        history = (history * 31 + before + 1) % HISTORIES
    toy.logits[history] = torch.tensor([-9.0, -9, -9, 3, -9, 0])
    ((output,),) = beam_search(toy, Sources([0], [1]), 10, width=2)
    assert output.tokens == [4, 4, END]


def always(logits: list[float]) -> Toy:
    toy = Toy(0, vocabulary=len(logits))
    toy.logits = torch.tensor(logits).expand(HISTORIES, -1)
    return toy


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_beam_stops_when_nothing_live_can_win(alpha: float) -> None:
    toy = always([0.0, 0, 0, 12, 0, 0])
    ((output,),) = beam_search(toy, Sources([0], [1]), 10, width=3, length_penalty=alpha)
    assert output.tokens == [END]
    assert len(toy.calls) == 1
    ((_, second),) = beam_search(toy, Sources([0], [1]), 10, width=3, length_penalty=alpha, best=2)
    assert len(second.tokens) == 2


def test_mean_log_probability_prefers_the_longer_of_two() -> None:
    toy, sources = Toy(3), Sources(list(range(40)), [1] * 40)
    short = beam_search(toy, sources, 6, 8)
    long = beam_search(toy, sources, 6, 8, length_penalty=1.0)
    assert sum(len(outputs[0].tokens) for outputs in long) > sum(len(outputs[0].tokens) for outputs in short)


@quick
@given(seeds, batches)
def test_done_examples_leave_the_batch(seed: int, sources: Sources) -> None:
    toy = Toy(seed)
    lengths = [len(outputs[0].tokens) for outputs in greedy(toy, sources, 9)]
    expected = [(sum(length > step for length in lengths), 1) for step in range(max(lengths))]
    assert toy.calls == expected

    toy.calls.clear()
    beam_search(toy, sources, 9, 4)
    together, toy.calls = toy.calls, []
    steps = []
    for example in range(len(sources)):
        toy.calls.clear()
        beam_search(toy, sources.single(example), 9, 4)
        steps.append(len(toy.calls))
    assert [rows for rows, _ in together] == [sum(n > step for n in steps) for step in range(max(steps))]


def test_finished_hypotheses_leave_the_beam() -> None:
    toy = always([-9.0, -9, -9, 0.1, 0, -9])
    (outputs,) = beam_search(toy, Sources([0], [1]), 20, width=4, best=4)
    assert [output.tokens for output in outputs] == [[END], [4, END], [4, 4, END], [UNKNOWN, END]]
    assert toy.calls == [(1, 1), (1, 3), (1, 1)]


@quick
@given(seeds, batches, st.lists(st.integers(1, 7), min_size=5, max_size=5))
def test_no_output_is_longer_than_longest(seed: int, sources: Sources, limits: list[int]) -> None:
    longest = torch.tensor(limits[: len(sources)])
    generator = torch.Generator().manual_seed(seed)
    toy = Toy(seed)
    for found in (
        greedy(toy, sources, longest),
        beam_search(toy, sources, longest, 3, best=3),
        sample(toy, sources, longest, 3, generator=generator),
    ):
        check(toy, sources, found)
        for limit, outputs in zip(longest.tolist(), found, strict=True):
            for output in outputs:
                assert len(output.tokens) <= limit if output.finished else len(output.tokens) == limit + 1


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_ngram_is_written_twice(size: int) -> None:
    toy, sources, generator = always([-9.0, 0, -9, -9, 2, 1]), Sources([0, 0], [1, 3]), torch.Generator()
    for search in (
        partial(greedy, toy, sources, 12),
        partial(beam_search, toy, sources, 12, 3, best=3),
        partial(sample, toy, sources, 12, 3, generator=generator.manual_seed(1)),
    ):
        for allowed in (True, False):
            found = search(no_repeat_ngram=0 if allowed else size)
            check(toy, sources, found)
            twice = 0
            for output in (output for outputs in found for output in outputs):
                ngrams = list(zip(*(output.tokens[start:] for start in range(size)), strict=False))
                twice += len(ngrams) - len(set(ngrams))
            assert bool(twice) == allowed


@quick
@given(seeds, batches)
def test_outputs_begin_with_their_prefix(seed: int, sources: Sources) -> None:
    toy = Toy(seed)
    prefix = [[[], [4], [5, UNKNOWN], [4, 4, 5]][number % 4] for number in sources.numbers]
    likeliest = greedy(toy, sources, 5, prefix)
    found = beam_search(toy, sources, 5, 4**4, prefix=prefix, forbid=(PAD, UNKNOWN, BEGIN))
    check(toy, sources, likeliest)
    check(toy, sources, found)
    for number, start, (output,), (best,) in zip(sources.numbers, prefix, likeliest, found, strict=True):
        assert output.tokens[: len(start)] == start
        assert UNKNOWN not in best.tokens[len(start) :]
        expected = next(
            tokens
            for _, tokens in enumerate_finished(toy, number, 5, 0.0)
            if tokens[: len(start)] == start and UNKNOWN not in tokens[len(start) :]
        )
        assert best.tokens == expected


def test_prefix_may_end_the_output() -> None:
    toy, source, prefix = Toy(2), Sources([5], [3]), [[4, END]]
    for ((output,),) in (greedy(toy, source, 6, prefix), beam_search(toy, source, 6, 3, prefix=prefix)):
        assert output.tokens == [4, END]
        assert output.finished


def test_samples_come_as_often_as_they_should() -> None:
    toy, sources = Toy(4), Sources([11, 12], [2, 4])
    count, temperature = 20_000, 1.7
    found = sample(toy, sources, 1, count, temperature, torch.Generator().manual_seed(0))
    for number, outputs in zip(sources.numbers, found, strict=True):
        log_probs = [replay(toy, number, 1, [token])[0][0] for token in range(6)]
        chances = np.exp(np.array(log_probs) / temperature)
        chances[[PAD, BEGIN]] = 0
        chances /= chances.sum()
        share = np.bincount([output.tokens[0] for output in outputs], minlength=6) / count
        np.testing.assert_allclose(share, chances, atol=4 * 0.5 / count**0.5)
        assert outputs == sorted(outputs, key=lambda output: (not output.finished, -output.score))


@quick
@given(seeds, batches)
def test_samples_are_sound_and_repeat_with_their_seed(seed: int, sources: Sources) -> None:
    toy = Toy(seed)
    found = sample(toy, sources, 6, 4, generator=torch.Generator().manual_seed(seed))
    check(toy, sources, found)
    again = sample(toy, sources, 6, 4, generator=torch.Generator().manual_seed(seed))
    assert [[output.tokens for output in outputs] for outputs in found] == [
        [output.tokens for output in outputs] for outputs in again
    ]


def test_equals_go_to_the_first_token() -> None:
    toy = always([0.0] * 300)
    sources = Sources([0, 0], [1, 1])
    found = beam_search(toy, sources, 1, 5, best=5)
    assert [[output.tokens for output in outputs] for outputs in found] == [
        [[END], [UNKNOWN, END], [4, END], [5, END], [6, END]]
    ] * 2
    assert [output.tokens for (output,) in greedy(toy, sources, 3)] == [[*[UNKNOWN] * 3, END]] * 2


@quick
@given(seeds, batches)
def test_ensemble_of_one_is_its_member(seed: int, sources: Sources) -> None:
    toy = Toy(seed)
    found = beam_search(Ensemble([toy]), sources, 6, 3, best=3)
    for outputs, expected in zip(found, beam_search(toy, sources, 6, 3, best=3), strict=True):
        for output, other in zip(outputs, expected, strict=True):
            same(output, other)


@quick
@given(seeds, batches)
def test_ensemble_averages_probabilities_and_weights(seed: int, sources: Sources) -> None:
    members = [Toy(seed), Toy(seed + 1), Toy(seed + 2)]
    for outputs, number, length in zip(
        beam_search(Ensemble(members), sources, 6, 3, best=3), sources.numbers, sources.lengths, strict=True
    ):
        for output in outputs:
            replays = [replay(member, number, length, output.tokens) for member in members]
            mean = np.log(np.mean([np.exp(log_probs) for log_probs, _ in replays], axis=0))
            assert output.token_log_probs == pytest.approx(mean.tolist(), abs=1e-5)
            assert output.weights is not None
            np.testing.assert_allclose(output.weights, np.mean([w for _, w in replays], axis=0), atol=1e-6)


class Offset(Toy):
    """Sees one cell fewer than the batch has: an ensemble member with other cells."""

    def start(self, batch: Sources) -> State:
        return super().start(Sources(batch.numbers, [length - 1 for length in batch.lengths]))


@pytest.mark.parametrize("other", [Toy(2, cells=4), Offset(2), Toy(2, reads=False)])
def test_ensemble_has_no_read_over_unlike_cells(other: Toy) -> None:
    for (output,) in greedy(Ensemble([Toy(1), other]), Sources([1, 2], [4, 3]), 4):
        assert output.weights is None


def test_no_read_gives_no_weights() -> None:
    for (output,) in beam_search(Toy(1, reads=False), Sources([1, 2], [4, 3]), 4, 2):
        assert output.weights is None


def test_no_examples_give_no_outputs() -> None:
    assert greedy(Toy(1), Sources([], []), 4) == []
    assert beam_search(Toy(1), Sources([], []), 4, 2) == []


class Trainable(nn.Module):
    """A toy that can be in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.toy = Toy(0)

    def start(self, batch: Sources) -> State:
        return self.toy.start(batch)

    def step(self, token: Tensor, state: State) -> Step:
        return self.toy.step(token, state)


def test_a_module_in_training_mode_is_refused() -> None:
    sources = Sources([1], [2])
    with pytest.raises(ValueError, match=r"eval\(\)"):
        greedy(Trainable(), sources, 3)
    with pytest.raises(ValueError, match=r"eval\(\)"):
        greedy(Ensemble([Toy(0), Trainable()]), sources, 3)
    assert greedy(Trainable().eval(), sources, 3)[0][0].tokens == greedy(Toy(0), sources, 3)[0][0].tokens


def test_errors_say_what_is_wrong() -> None:
    toy, sources = Toy(0), Sources([1, 2], [2, 3])
    nan = always([float("nan")] * 6)
    cases = [
        (lambda: greedy(toy, sources, 0), "longest must be at least 1"),
        (lambda: greedy(toy, sources, torch.tensor([1, 2, 3])), "one for each of 2 examples"),
        (lambda: greedy(toy, sources, 3, [[4]]), "1 prefixes or targets for 2 examples"),
        (lambda: greedy(toy, sources, 3, [[4] * 4, []]), "prefix of example 0 has 4 tokens"),
        (lambda: greedy(toy, sources, 3, [[], [END, 4]]), "example 1 has END"),
        (lambda: greedy(toy, sources, 3, [[], [-4]]), "example 1 has token -4"),
        (lambda: greedy(toy, sources, 3, [[], [6]]), "token 6: the decoder's vocabulary is 0 to 5"),
        (lambda: greedy(toy, sources, 3, forbid=(-1,)), "token -1"),
        (lambda: greedy(toy, sources, 3, forbid=range(6)), "leaves no possible token"),
        (lambda: greedy(nan, sources, 3), r"examples \[0, 1\] .* step 0.* not finite"),
        (lambda: beam_search(nan, sources, 3, 2), "not finite"),
        (lambda: sample(nan, sources, 3), "not finite"),
        (lambda: beam_search(toy, sources, 3, 2, best=3), "best must be from 1 to the beam's width, 2"),
        (lambda: beam_search(toy, sources, 3, 0), "best must be"),
        (lambda: beam_search(toy, sources, 3, 2, -0.5), "length_penalty"),
        (lambda: sample(toy, sources, 3, 0), "count"),
        (lambda: sample(toy, sources, 3, temperature=0.0), "temperature"),
        (lambda: forced(toy, sources, [[END], []]), "target of example 1 is empty"),
        (lambda: forced(toy, sources, [[END], [END, END]]), "example 1 has END"),
        (lambda: Ensemble([]), "at least one member"),
        (lambda: greedy(Ensemble([toy, Toy(0, vocabulary=7)]), sources, 3), r"share one vocabulary.*\[6, 7\]"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()


def texts(*ids: list[int]) -> Batch:
    return Batch({"source": stack_cells(ids)})


def obeying(seed: int) -> tuple[Any, Any]:
    """A real system with random weights, and a batch of two sources of different lengths."""
    torch.manual_seed(seed)
    system = rnnsearch.System(rnnsearch.Config(embedding=8, hidden=8, maxout=8), 12, 9).eval()
    for parameter in system.parameters():
        nn.init.normal_(parameter, std=0.7)
    return system, texts([4, 5, 6, 7, END], [8, 9, END])


@pytest.mark.parametrize("width", [1, 3])
def test_a_models_own_weights_set_by_hand_change_nothing(width: int) -> None:
    system, batch = obeying(1)

    def search(looks: Looks | None = None) -> list[list[Hypothesis]]:
        if width == 1:
            return greedy(system, batch, 6, looks=looks)
        return beam_search(system, batch, 6, width, looks=looks)

    own = search()
    looks = [dict(enumerate(found[0].weights)) for found in own if found[0].weights is not None]
    again = search(looks if width == 1 else [{0: weights[0]} for weights in looks])
    for before, after in zip(own, again, strict=True):
        same(after[0], before[0])


def test_a_row_on_one_cell_reads_that_cell_and_only_where_it_is_set() -> None:
    system, batch = obeying(2)
    own = [found[0] for found in greedy(system, batch, 6)]
    row = np.array([0, 0, 1, 0, 0], dtype=np.float32)
    forced_too = [found[0] for found in greedy(system, batch, 6, looks=[{1: row}, {}])]
    assert forced_too[0].weights is not None
    assert own[0].weights is not None
    np.testing.assert_array_equal(forced_too[0].weights[1], row)
    np.testing.assert_allclose(forced_too[0].weights[0], own[0].weights[0], atol=1e-6)
    same(forced_too[1], own[1])
    state = system.start(batch)
    memory = replace(state.memory, forced=torch.tensor([[[0.0, 0, 1, 0, 0]], [[torch.nan] * 5]]))
    step = system.step(torch.full((2, 1), BEGIN), replace(state, memory=memory))
    torch.testing.assert_close(step.read.context[0, 0], state.memory.values[0, 2])


@pytest.mark.parametrize(
    ("row", "complaint"),
    [([0.5, 0.5], "must be 5 numbers"), ([2, -1, 0, 0, 0], "from 0 up"), ([0.5, 0, 0, 0, 0], "sum to 1")],
)
def test_weights_that_do_not_fit_are_refused(row: list[float], complaint: str) -> None:
    system, batch = obeying(1)
    with pytest.raises(ValueError, match=complaint):
        greedy(system, batch, 6, looks=[{0: np.array(row, dtype=np.float32)}, {}])


def test_a_decoder_that_looks_elsewhere_is_found_out() -> None:
    row = np.eye(5, dtype=np.float32)[0]
    with pytest.raises(ValueError, match="Toy ignores forced weights"):
        greedy(Toy(1), Sources([1], [5]), 6, looks=[{0: row}])
    nowhere = seq2seq.System(seq2seq.Config(embedding=4, hidden=4, layers=1), 12, 9).eval()
    with pytest.raises(ValueError, match="no attention that could be set by hand"):
        greedy(nowhere, texts([4, 5, END]), 6, looks=[{0: row}])


def test_all_members_of_an_ensemble_take_the_weights_set_by_hand() -> None:
    ensemble = Ensemble([obeying(1)[0], obeying(2)[0]])
    batch = obeying(1)[1]
    row = np.array([0, 1, 0, 0, 0], dtype=np.float32)
    found = greedy(ensemble, batch, 6, looks=[{0: row}, {}])[0][0]
    assert found.weights is not None
    np.testing.assert_array_equal(found.weights[0], row)


def test_who_watches_a_beam_sees_what_it_kept_and_what_it_passed_over() -> None:
    toy, sources = Toy(3, sharpness=1.0), Sources([1], [3])
    seen: list[tuple[Taken, Taken | None]] = []
    (outputs,) = beam_search(toy, sources, 5, 3, best=3, watch=lambda taken, passed: seen.append((taken, passed)))
    for taken, passed in seen:
        assert passed is not None
        kept = taken.total[taken.total > -torch.inf]
        over = passed.total[passed.total > -torch.inf]
        # Nothing that was passed over is better than what was kept.
        assert not len(over) or float(over.max()) <= float(kept.min()) + 1e-6
    ends = [
        float(total)
        for taken, _ in seen
        for total, token in zip(taken.total[0], taken.token[0], strict=True)
        if token == END
    ]
    assert outputs[0].log_prob == pytest.approx(max(ends))


def test_who_watches_can_end_a_search() -> None:
    def enough(*_: object) -> None:
        raise InterruptedError

    toy = Toy(1)
    for search in (
        lambda: greedy(toy, Sources([1], [3]), 5, watch=enough),
        lambda: beam_search(toy, Sources([1], [3]), 5, 2, watch=enough),
    ):
        with pytest.raises(InterruptedError):
            search()
    assert len(toy.calls) == 2


def test_a_given_target_is_stepped_through() -> None:
    toy = Toy(5)
    target = torch.tensor([[3, 4, END]])
    log_probs, _ = replay(toy, 2, 4, target[0].tolist())
    steps = list(teacher_forced(toy, Sources([2], [4]), target))
    found = [float(step.logits[0, 0].log_softmax(0)[token]) for step, token in zip(steps, target[0], strict=True)]
    assert found == pytest.approx(log_probs, abs=1e-5)


@pytest.mark.parametrize("size", [5, 96, 97, 192, 193, 1000])
def test_the_likeliest_is_the_first_of_the_highest(size: int):
    scores = torch.randint(20, (7, 3, size), generator=torch.Generator().manual_seed(size)).float()
    expected = [[row.tolist().index(row.max()) for row in rows] for rows in scores]
    assert likeliest(scores).tolist() == expected


def test_a_hypothesis_says_what_its_weights_are_over() -> None:
    class Named(Toy):
        def start(self, batch: Sources) -> State:
            state = super().start(batch)
            assert state.memory is not None
            return replace(state, memory=replace(state.memory, over="image", shape=(1, 5), sampled=True))

    for search in (greedy(Named(1), Sources([1], [5]), 4), beam_search(Named(1), Sources([1], [5]), 4, 2)):
        assert (search[0][0].over, search[0][0].shape, search[0][0].sampled) == ("image", (1, 5), True)


class Reader:
    """Keeps the values of its memory apart: cell i of example b holds 10 b + i. Looks at cells by their number."""

    def start(self, batch: Sources) -> State:
        cells = torch.arange(5.0).reshape(1, 5, 1) + 10 * torch.arange(len(batch)).reshape(-1, 1, 1)
        mask = torch.arange(5) < torch.tensor(batch.lengths).unsqueeze(1)
        return State(Memory(cells, cells, mask), {"none": torch.zeros(len(batch), 1)})

    def step(self, token: Tensor, state: State) -> Step:
        assert state.memory is not None
        weights = softmax(state.memory.keys.mT / 10, state.memory.mask).weights
        return Step(torch.zeros(*token.shape, 6), state, Read(weights @ state.memory.values, weights))


def test_shuffled_weights_are_the_same_on_other_real_cells() -> None:
    sources = Sources([0, 1, 2], [5, 3, 1])
    shuffled, plain = Shuffled(Reader(), torch.Generator().manual_seed(5)), Reader()
    state, own = shuffled.start(sources), plain.start(sources)
    for row, length in enumerate(sources.lengths):
        moved, kept = state.memory.values[row, :, 0].tolist(), own.memory.values[row, :, 0].tolist()  # type: ignore[union-attr]
        assert sorted(moved[:length]) == kept[:length]
        assert sorted(moved[length:]) == kept[length:], "padding stays at the right"
    assert not torch.equal(state.memory.values[0], own.memory.values[0])  # type: ignore[union-attr]
    token = torch.full((3, 1), BEGIN)
    found, expected = shuffled.step(token, state).read, plain.step(token, own).read
    assert found is not None
    assert expected is not None
    torch.testing.assert_close(found.weights, expected.weights)
    torch.testing.assert_close(found.context, expected.weights @ state.memory.values)
    again = Shuffled(Reader(), torch.Generator().manual_seed(5)).start(sources)
    assert torch.equal(again.memory.values, state.memory.values)


def test_the_members_of_an_ensemble_are_shuffled_alike() -> None:
    state = Shuffled(Ensemble([Reader(), Reader()]), torch.Generator().manual_seed(5)).start(Sources([0, 1], [5, 3]))
    one, other = (member.memory.values for member in state.members)
    assert torch.equal(one, other)
    alone = Shuffled(Reader(), torch.Generator().manual_seed(5)).start(Sources([0, 1], [5, 3]))
    assert torch.equal(one, alone.memory.values)


def test_shuffled_systems_are_searched_like_any_other() -> None:
    system, batch = obeying(1)
    generator = torch.Generator().manual_seed(5)
    for found in (greedy(Shuffled(system, generator), batch, 4), beam_search(Shuffled(system, generator), batch, 4, 2)):
        assert [outputs[0].weights.shape[1] for outputs in found] == [5, 3]  # type: ignore[union-attr]
