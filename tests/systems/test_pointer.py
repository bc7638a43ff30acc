"""What is exact about pointer networks, and what public code of them gets wrong."""

from dataclasses import replace

import pytest
import torch

from attend import decoding
from attend.contract import BEGIN, END, Batch, Cells
from attend.systems import pointer

CONFIG = pointer.Config(hidden=6, places=5)


def points(*lengths: int) -> Cells:
    generator = torch.Generator().manual_seed(1)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    values = torch.rand(len(lengths), max(lengths), 2, generator=generator, dtype=torch.float64)
    return Cells(values * mask.unsqueeze(-1), mask)


def target(*places: list[int]) -> Cells:
    longest = max(map(len, places)) + 1
    rows = [[*(END + place for place in one), END, *[0] * (longest - 1 - len(one))] for one in places]
    values = torch.tensor(rows)
    return Cells(values, values > 0)


def system(config: pointer.Config = CONFIG) -> pointer.System:
    torch.manual_seed(0)
    return pointer.System(replace(config, scale=0.9), 2).double().eval()


BATCH = Batch({"points": points(4, 3)}, target([3, 1, 4], [2, 3, 1]))


def test_the_probabilities_are_the_weights_of_the_equation():
    model = system()
    state = model.start(BATCH)
    step = model.step(torch.full((2, 1), BEGIN), state)
    assert step.read is not None
    assert model.score is not None
    assert model.end is not None
    # One example by itself, with torch's own LSTMs and nothing that the system adds for batches.
    lonely = BATCH.inputs["points"].values[1:, :3]
    encoded, last = model.encoder(lonely)
    decoded, _ = model.decoder(model.begin.expand(1, 1, -1), last)
    memory = torch.cat([model.end.expand(1, 1, -1), encoded], 1)
    hidden = torch.tanh(memory @ model.score.key.weight.T + decoded @ model.score.query.weight.T)
    weights = (hidden @ model.score.energy.weight.T).squeeze(-1).softmax(-1)
    torch.testing.assert_close(step.read.weights[1, :, :4], weights)
    assert step.read.weights[1, 0, 4] == 0
    torch.testing.assert_close(step.logits.exp()[1, 0, END : END + 4], weights[0])
    assert step.logits[..., :END].isneginf().all()


@pytest.mark.parametrize("choice", ["pointer", "places"])
def test_what_was_pointed_to_is_closed_and_fed(choice):
    model = system(replace(CONFIG, choice=choice))
    step = model.step(torch.full((2, 1), BEGIN), model.start(BATCH))
    after = model.step(torch.tensor([[END + 3], [END + 2]]), step.state)
    assert after.logits[0, 0].isneginf().tolist() == [True] * 3 + [False, False, False, True, False]
    assert after.logits[1, 0].isneginf().tolist() == [True] * 3 + [False, False, True, False, True]
    if after.read is not None:
        assert after.read.weights[0, 0, 3] == 0
        torch.testing.assert_close(after.read.weights.sum(-1), torch.ones(2, 1, dtype=torch.float64))
    # The next state is that after the vector that was pointed to.
    fed = torch.stack([BATCH.inputs["points"].values[0, 2], BATCH.inputs["points"].values[1, 1]])
    before = tuple(step.state.hidden[name].transpose(0, 1) for name in ("state", "cell"))
    _, (expected, _) = model.decoder(fed.unsqueeze(1), before)
    torch.testing.assert_close(after.state.hidden["state"].transpose(0, 1), expected)


@pytest.mark.parametrize("choice", ["pointer", "places"])
def test_training_takes_the_steps_of_prediction(choice):
    model = system(replace(CONFIG, choice=choice))
    ids = [row[row > 0].tolist() for row in BATCH.target.values]
    forced = decoding.forced(model, Batch(BATCH.inputs), ids)
    assert float(model(BATCH).total.detach()) == pytest.approx(-sum(one.log_prob for one in forced))


@pytest.mark.parametrize("choice", ["pointer", "places"])
def test_every_search_points_to_each_place_once(choice):
    model, inputs = system(replace(CONFIG, choice=choice)), Batch(BATCH.inputs)
    limits = BATCH.inputs["points"].mask.sum(1) + 1
    found = decoding.beam_search(model, inputs, limits, 40, best=20)
    found = [*found, *decoding.sample(model, inputs, limits, 20, generator=torch.Generator().manual_seed(0))]
    for count, several in zip([4, 3, 4, 3], found, strict=True):
        for one in several:
            places = [token - END for token in one.tokens[:-1]]
            assert len(set(places)) == len(places)
            assert one.tokens[-1] == END
            assert all(1 <= place <= count for place in places)


def test_all_outputs_together_have_probability_one():
    model, inputs = system(), Batch({"points": points(2)})
    every = [[], [1], [2], [1, 2], [2, 1]]
    likely = [
        decoding.forced(model, inputs, [[*(END + place for place in places), END]])[0].log_prob for places in every
    ]
    assert float(torch.tensor(likely).exp().sum()) == pytest.approx(1)


def test_no_gradient_flows_through_what_is_closed():
    model = system()
    loss = model(BATCH).total
    loss.backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


def test_a_place_set_by_hand_is_the_output():
    model = system()
    rows = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0]).numpy()
    (found,) = decoding.greedy(model, Batch({"points": points(4)}), 5, looks=[{0: rows, 1: rows[[0, 2, 1, 3, 4]]}])
    assert found[0].tokens[:2] == [END + 2, END + 1]


def test_the_pointer_goes_beyond_what_the_control_knows():
    longer = Batch({"points": points(7)}, target([7, 1]))
    assert system()(longer).total.isfinite()
    with pytest.raises(ValueError, match="7 vectors"):
        system(replace(CONFIG, choice="places"))(longer)
    # Padding beyond its places is none of its business.
    padded = points(7, 3)
    cells = Cells(padded.values[1:], padded.mask[1:])
    model = system(replace(CONFIG, choice="places"))
    whole, cut = (
        model(Batch({"points": one}, target([3, 1]))).total
        for one in (cells, Cells(cells.values[:, :3], cells.mask[:, :3]))
    )
    torch.testing.assert_close(whole, cut)


def test_a_little_sorting_is_learnt():
    torch.manual_seed(0)
    model = pointer.System(pointer.Config(hidden=16, scale=0.3), 1)
    optimiser = torch.optim.Adam(model.parameters(), 2e-2)
    generator = torch.Generator().manual_seed(0)

    def drawn(count: int) -> Batch:
        numbers = torch.rand(count, 3, 1, generator=generator) * 3.4 - 1.7
        order = numbers.squeeze(-1).argsort(1) + 1 + END
        ids = torch.cat([order, torch.full((count, 1), END)], 1)
        return Batch({"points": Cells(numbers, torch.ones(count, 3, dtype=torch.bool))}, Cells(ids, ids > 0))

    for _ in range(100):
        loss = model(drawn(32))
        optimiser.zero_grad()
        (loss.total / loss.units).backward()
        optimiser.step()
    batch = drawn(100)
    found = decoding.greedy(model.eval(), Batch(batch.inputs), 4)
    right = [one[0].tokens == row.tolist() for one, row in zip(found, batch.target.values, strict=True)]
    assert sum(right) >= 80
