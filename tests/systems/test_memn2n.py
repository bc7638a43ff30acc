"""What is exact about end-to-end memory networks, and what public code of them gets wrong."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from attend.contract import END, PAD, Batch, Cells, Follows
from attend.layers import ages, position_weights
from attend.recipes import stories
from attend.systems import memn2n

CONFIG = memn2n.Config(hops=2, size=4, memories=8, noise=0.0)


def story(*sentences: list[int], cells: int = 0, words: int = 0) -> Cells:
    """One story, padded to so many sentences of so many words."""
    longest = max(words, *map(len, sentences))
    rows = [[*one, *[PAD] * (longest - len(one))] for one in sentences]
    rows += [[PAD] * longest] * (cells - len(rows))
    values = torch.tensor([rows])
    return Cells(values, torch.arange(values.shape[1]).unsqueeze(0) < len(sentences))


def query(*words: int) -> Cells:
    values = torch.tensor([[*words, END]])
    return Cells(values, torch.ones_like(values, dtype=torch.bool))


def batch(cells: Cells, *words: int, answer: int = 1) -> Batch:
    return Batch({"story": cells, "query": query(*words)}, torch.tensor([answer]))


def system(config: memn2n.Config = CONFIG) -> memn2n.System:
    torch.manual_seed(0)
    return memn2n.System(config, 20, 20 - memn2n.WORDS + 3).eval()


TOLD = batch(story([5, 6], [7, 8, 9], [5, 9]), 6, 7)


@pytest.mark.parametrize("tying", ["adjacent", "layer-wise"])
def test_hops_are_those_of_the_equations(tying):
    model = system(replace(CONFIG, tying=tying))
    embedded = model.embedded(TOLD.inputs["story"])
    state = model.asked(TOLD.inputs["query"])
    for hop in range(2):
        keys, values = embedded[hop : hop + 2] if tying == "adjacent" else embedded
        likely = F.softmax((keys @ state.unsqueeze(2)).squeeze(2), 1)
        carried = state if tying == "adjacent" else state @ model.onward.weight.T
        state = carried + (likely.unsqueeze(2) * values).sum(1)
    rows = model.output.weight
    if tying == "adjacent":
        rows = torch.cat([model.sentences.words.weight[4:, -4:], rows])
    expected = state @ rows.T
    torch.testing.assert_close(model.answer(TOLD).logits[:, -1], expected)


def test_padding_has_no_part_in_anything():
    model = system()
    plain, padded = TOLD, batch(story([5, 6], [7, 8, 9], [5, 9], cells=6, words=7), 6, 7)
    expected, found = model.answer(plain), model.answer(padded)
    torch.testing.assert_close(found.logits, expected.logits)
    weights = found.looks["story"].values
    assert weights[0, :, 3:].eq(0).all()  # empty memories have no share of the softmax
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 2))


def test_the_null_word_stays_zero():
    model = system().train()
    model(batch(story([5, PAD, 6], cells=3, words=5), 6)).total.backward()
    sentences = model.sentences
    assert sentences.words.weight[PAD].eq(0).all()
    assert sentences.words.weight.grad[PAD].eq(0).all()
    assert sentences.ages.weight[0].eq(0).all()
    assert sentences.ages.weight.grad[0].eq(0).all()


def test_time_is_counted_back_from_the_newest_sentence():
    mask = story([5], [6], [7], cells=5).mask
    assert ages(mask, 0.0, 8).tolist() == [[3, 2, 1, 0, 0]]
    assert ages(mask, 0.0, 2).tolist() == [[2, 2, 1, 0, 0]]
    # The newest sentence is as old in a long story as in a short one: its vector is the same.
    model = system()
    long, short = (model.embedded(one)[0] for one in (story([5, 6], [7, 8]), story([7, 8])))
    torch.testing.assert_close(long[0, 1], short[0, 0])


def test_empty_memories_move_the_time_in_training_alone():
    mask = torch.ones(200, 10, dtype=torch.bool)
    torch.manual_seed(0)
    moved = ages(mask, 0.5, 100)
    steps = moved[:, :-1] - moved[:, 1:]
    assert steps.unique().tolist() == [1, 2]
    assert (steps == 2).float().mean().item() == pytest.approx(0.5, abs=0.05)
    model = system(replace(CONFIG, noise=0.5))
    assert torch.equal(model.embedded(TOLD.inputs["story"])[0], model.embedded(TOLD.inputs["story"])[0])
    assert len({model.train()(TOLD).total.item() for _ in range(20)}) > 1


def test_words_are_weighted_by_position_and_the_time_is_not():
    model = system()
    sentences, cells = model.sentences, story([5, 6])
    weight, size = position_weights(torch.tensor(2), 2, 4), 4
    for word in (1, 2):
        for number in (1, 2, 3, 4):
            expected = 1 + 4 * (number - (size + 1) / 2) * (word - 1.5) / (size * 2)
            assert weight[word - 1, number - 1].item() == pytest.approx(expected)
    # The first of the embeddings, which stand side by side.
    five, six, now = sentences.words.weight[5, :4], sentences.words.weight[6, :4], sentences.ages.weight[1, :4]
    torch.testing.assert_close(model.embedded(cells)[0][0, 0], weight[0] * five + weight[1] * six + now)
    bag = system(replace(CONFIG, positions=False))
    words, ages = bag.sentences.words.weight[:, :4], bag.sentences.ages.weight[:, :4]
    torch.testing.assert_close(bag.embedded(cells)[0][0, 0], words[5] + words[6] + ages[1])


def test_the_loss_is_summed_over_questions():
    model, cells = system(), story([5, 6], [7, 8])
    two = Cells(cells.values.repeat(2, 1, 1), cells.mask.repeat(2, 1))
    asked = Cells(query(6).values.repeat(2, 1), query(6).mask.repeat(2, 1))
    once, twice = model(batch(cells, 6)), model(Batch({"story": two, "query": asked}, torch.tensor([1, 1])))
    assert (once.units, twice.units) == (1, 2)
    torch.testing.assert_close(twice.total, 2 * once.total)


def test_a_linear_start_has_scores_for_weights_until_its_share_of_training_is_over():
    model = system(replace(CONFIG, linear=0.2))
    cells, asked = TOLD.inputs["story"], TOLD.inputs["query"]
    scores = model.asked(asked).unsqueeze(1) @ model.embedded(cells)[0].mT
    model.follow_training(0.19)
    torch.testing.assert_close(model.hops(cells, asked)[1][:, :1], scores)
    assert model.answer(TOLD).looks["story"].values.min() >= 0  # what is shown are weights
    again = system(replace(CONFIG, linear=0.2))
    model.follow_training(0.2)
    torch.testing.assert_close(model.hops(cells, asked)[1][:, :1], scores.softmax(-1))
    again.load_state_dict(model.state_dict())  # a run that is resumed, or loaded, knows
    torch.testing.assert_close(again.hops(cells, asked)[1], model.hops(cells, asked)[1])


def test_training_tells_how_far_it_is():
    assert isinstance(system(), Follows)


def test_adjacent_tying_answers_with_the_words_of_the_last_values():
    model = system()
    word = model.sentences.words.weight[7, -4:]
    state = torch.randn(1, 4)
    answers = model.answers(state)
    assert answers.shape == (1, 19)
    torch.testing.assert_close(answers[0, 7 - memn2n.WORDS], (state @ word)[0])
    model.train()(TOLD).total.backward()
    assert model.sentences.words.weight.grad[:, -4:].abs().sum() > 0
    with pytest.raises(ValueError, match=r"output\.like"):
        memn2n.System(CONFIG, 20, 15)
    assert memn2n.System(replace(CONFIG, tying="layer-wise"), 20, 3).output.weight.shape == (3, 4)


def test_the_control_reads_the_words_of_story_and_question_without_padding():
    torch.manual_seed(0)
    model = memn2n.Recurrent(memn2n.RecurrentConfig(embedding=4, hidden=5, dropout=0.0), 20, 3)
    words, real = memn2n.words_of(story([5, 6], [7], cells=4, words=3), query(8))
    assert words[0, real[0]].tolist() == [5, 6, 7, 8, END]
    state = model.lstm(model.embedding(torch.tensor([[5, 6, 7, 8, END]])))[0][:, -1]
    expected = model.output(state)
    for cells in (story([5, 6], [7]), story([5, 6], [7], cells=4, words=3)):
        torch.testing.assert_close(model.answer(batch(cells, 8)).logits[:, -1], expected)


def test_the_control_weighs_all_sentences_alike():
    weights = system(replace(CONFIG, uniform=True)).answer(TOLD).looks["story"].values
    torch.testing.assert_close(weights, torch.full((1, 2, 3), 1 / 3))


@pytest.mark.parametrize(("name", "value"), [("hops", 0), ("size", 0), ("noise", 1.0), ("linear", -0.1)])
def test_settings_out_of_range_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        replace(CONFIG, **{name: value})


@pytest.mark.parametrize(
    "name", [name for name, one in stories.RECIPES.items() if one.settings.training.optimiser == "sgd"]
)
def test_an_update_is_the_papers_of_the_summed_loss(name):
    """The loop takes means: with another batch the same rate would be another one for the sum."""
    training = stories.RECIPES[name].settings.training
    assert round(training.learning_rate / training.batch, 6) in (0.01, 0.005)  # the latter with a linear start
    assert training.clip * training.batch == pytest.approx(40)
