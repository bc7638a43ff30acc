"""Show, attend and tell against its equations, and what learns from what when cells are sampled."""

import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attend import decoding
from attend.contract import BEGIN, END, Batch, Cells, Starts
from attend.systems.captioner import (
    Backbone,
    Config,
    ConvolutionalEncoder,
    System,
    coverage_penalty,
    places,
    whole_cells,
)

VOCABULARY = 9
GRIDS = Config(embedding=6, hidden=7, alignment=5, dropout=0.0, state_dropout=0.0)
IMAGES = replace(GRIDS, encoder="convolutional", features=8)
HARD = replace(GRIDS, attention="hard", penalty=0.0, sampled=1.0)
LENGTHS = (4, 2, 3)


def build(config: Config, channels: int = 4) -> System:
    torch.manual_seed(0)
    sizes = {"image_features" if config.encoder == "none" else "image_channels": channels}
    return System(config, VOCABULARY, **sizes).double()


def batch(lengths: tuple[int, ...] = LENGTHS, padding: int = 0, rows: int = 2, columns: int = 3) -> Batch:
    """Grids (or images) of chance with captions of chance; `padding` more steps that are not there."""
    generate = np.random.default_rng(3)
    images = torch.from_numpy(generate.normal(size=(len(lengths), 4, rows, columns)))
    steps = max(lengths) + padding
    mask = torch.arange(steps) < torch.tensor(lengths).unsqueeze(1)
    target = torch.full(mask.shape, 5 if padding else 0)
    for row, length in enumerate(lengths):
        words = generate.integers(END + 1, VOCABULARY, length - 1)
        target[row, :length] = torch.from_numpy(np.append(words, END))
    return Batch({"image": images}, Cells(target, mask))


def touched(system: nn.Module) -> set[str]:
    """The parts of a system that have a gradient."""
    return {
        name.split(".")[0]
        for name, parameter in system.named_parameters()
        if parameter.grad is not None and bool(parameter.grad.abs().max() > 0)
    }


def parts(system: nn.Module) -> set[str]:
    return {name.split(".")[0] for name, _ in system.named_parameters()}


def follow(system: System, given: Batch, sampled: bool) -> Any:
    target = given.target.values
    words = system.embedding(torch.cat([target.new_full((len(target), 1), BEGIN), target[:, :-1]], 1))
    return system.follow(given.inputs["image"], words, sampled), words


def oracle(system: System, image: np.ndarray, caption: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A caption's weights, gates and log-probabilities by the paper's equations, cell by cell and word by word."""
    weight = {name: value.detach().numpy() for name, value in system.named_parameters()}

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    def first(name: str) -> np.ndarray:
        hidden = np.maximum(weight[f"{name}.0.weight"] @ mean + weight[f"{name}.0.bias"], 0)
        return np.tanh(weight[f"{name}.2.weight"] @ hidden + weight[f"{name}.2.bias"])

    cells = [image[:, row, column] for row in range(image.shape[1]) for column in range(image.shape[2])]
    mean = sum(cells) / len(cells)
    state, memory = first("first_state"), first("first_cell")
    all_weights, gates, log_probs = [], [], []
    word = np.zeros(system.config.embedding)
    for token in caption:
        scores = []
        for cell in cells:
            key = weight["score.key.weight"] @ cell + weight["score.key.bias"]
            hidden = np.tanh(weight["score.query.weight"] @ state + key)
            scores.append(float(weight["score.energy.weight"][0] @ hidden))
        exponentials = np.exp(scores)
        alpha = exponentials / exponentials.sum()
        beta = float(sigmoid(weight["gate.weight"] @ state + weight["gate.bias"])[0])
        read = beta * sum(a * cell for a, cell in zip(alpha, cells, strict=True))
        four = weight["from_word.weight"] @ word + weight["from_word.bias"]
        four = four + weight["from_state.weight"] @ state + weight["from_read.weight"] @ read
        enter, keep, show, new = np.split(four, 4)
        memory = sigmoid(keep) * memory + sigmoid(enter) * np.tanh(new)
        state = sigmoid(show) * np.tanh(memory)
        deep = word + weight["state_to_word.weight"] @ state + weight["state_to_word.bias"]
        deep = np.tanh(deep + weight["read_to_word.weight"] @ read)
        logits = weight["output.weight"] @ deep + weight["output.bias"]
        log_probs.append(float(logits[token] - np.log(np.exp(logits).sum())))
        all_weights.append(alpha)
        gates.append(beta)
        word = weight["embedding.weight"][token]
    return np.stack(all_weights), np.array(gates), np.array(log_probs)


def test_a_caption_goes_by_the_paper_s_equations():
    system, given = build(GRIDS).train(), batch()
    loss = system(given)
    total, penalty = 0.0, 0.0
    for row, length in enumerate(LENGTHS):
        image, caption = given.inputs["image"][row], given.target.values[row, :length].tolist()
        weights, gates, log_probs = oracle(system, image.numpy(), caption)
        (forced,) = decoding.forced(system.eval(), given.select(torch.tensor([row])), [caption])
        assert forced.weights is not None
        np.testing.assert_allclose(forced.weights, weights, atol=1e-6)
        np.testing.assert_allclose(forced.token_log_probs, log_probs, rtol=1e-5)
        course, _ = follow(system, given, sampled=False)
        cells = image.flatten(1).numpy().T
        np.testing.assert_allclose(course.reads[row, :length].detach().numpy(), gates[:, None] * (weights @ cells))
        total -= log_probs.sum()
        # A sum over the cells, not their mean.
        penalty += sum((1 - sum(weights[step, cell] for step in range(length))) ** 2 for cell in range(len(cells)))
    assert float(loss.terms["nll"]) == pytest.approx(total)
    assert float(loss.terms["penalty"]) == pytest.approx(penalty)
    assert float(loss.total.detach()) == pytest.approx(total + penalty)
    assert float(build(replace(GRIDS, penalty=0.25))(given).total.detach()) == pytest.approx(total + 0.25 * penalty)
    assert loss.units == sum(LENGTHS)


def test_the_penalty_is_that_of_cells_left_out():
    weights = torch.tensor([[[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]])
    real = torch.tensor([[True, True, True]])
    assert float(coverage_penalty(weights, real)) == 1
    assert float(coverage_penalty(weights, real & torch.tensor([True, True, False]))) == 2
    assert float(coverage_penalty(weights.expand(2, -1, -1), real.expand(2, -1))) == 2


def test_the_penalty_is_of_training_alone():
    system, given = build(GRIDS), batch()
    trained = system(given)
    validated = system.eval()(given)
    torch.testing.assert_close(validated.total.detach(), trained.terms["nll"])
    assert set(validated.terms) == {"nll"}


@pytest.mark.parametrize("config", [GRIDS, replace(GRIDS, attention="mean"), HARD, replace(HARD, sampled=0.5)])
def test_padding_changes_nothing(config: Config):
    def loss(padding: int) -> Tensor:
        system = build(config)
        torch.manual_seed(1)
        found = system(batch(padding=padding))
        found.total.backward()
        gradients = [parameter.grad.flatten() for parameter in system.parameters() if parameter.grad is not None]
        return torch.cat([found.total.detach().reshape(1), *gradients])

    if config.attention == "hard":
        # Padding takes chance of its own, so only one cell gives the same choices.
        system = build(config)
        torch.manual_seed(1)
        one = batch(rows=1, columns=1)
        found = system(one)
        torch.manual_seed(1)
        padded = build(config)(batch(padding=3, rows=1, columns=1))
        torch.testing.assert_close(padded.total, found.total)
    else:
        torch.testing.assert_close(loss(3), loss(0))


def test_what_is_sampled_on_padding_teaches_nothing():
    system, given = build(HARD), batch(padding=4)
    course, _ = follow(system, given, sampled=True)
    real = given.target.mask
    likelihood = torch.full(real.shape, -1.0).double() * real
    spread = torch.zeros_like(likelihood)
    (gradient,) = torch.autograd.grad(
        system.bound(likelihood, course.log_probs * real, spread, real), course.log_probs, retain_graph=True
    )
    assert bool((gradient[~real] == 0).all())
    assert bool((gradient[real] != 0).all())


def test_the_first_word_before_is_a_vector_of_zeros():
    system = build(GRIDS)
    assert not bool(system.embedding(torch.tensor([BEGIN])).any())
    system(batch()).total.backward()
    assert system.embedding.weight.grad is not None
    assert not bool(system.embedding.weight.grad[BEGIN].any())


def test_a_sampled_cell_is_learnt_from_its_likelihood_alone():
    system, given = build(HARD), batch()
    course, words = follow(system, given, sampled=True)
    # What the words say teaches all but the scores: no gradient goes through a choice.
    system.read_out(words, course.states, course.reads).square().sum().backward()
    assert touched(system) == parts(system) - {"score"}
    system.zero_grad()
    # The choice teaches what led to it, but not how words are made of what was read.
    course, _ = follow(system, given, sampled=True)
    course.log_probs.sum().backward()
    assert touched(system) == parts(system) - {"output", "state_to_word", "read_to_word"}


def test_soft_and_expected_weights_are_learnt_from_the_words():
    for config in (GRIDS, HARD):
        system, given = build(config), batch()
        course, words = follow(system, given, sampled=False)
        system.read_out(words, course.states, course.reads).square().sum().backward()
        assert touched(system) == parts(system)


def test_a_sample_is_one_cell_and_the_mean_of_many_is_the_expectation():
    system, given = build(HARD), batch()
    memory, state, _ = system.begin(given.inputs["image"])
    torch.manual_seed(2)
    many = state.expand(-1, 4000, -1)
    read, weights = system.look(many, memory, sampled=True)
    assert bool(((read.weights == 0) | (read.weights == 1)).all())
    assert read.log_prob is not None
    torch.testing.assert_close(read.log_prob, (read.weights * weights).sum(-1).log())
    expected, _ = system.look(state, memory, sampled=False)
    torch.testing.assert_close(read.context.mean(1), expected.context.squeeze(1), atol=0.05, rtol=0)


def test_with_one_cell_hard_is_soft():
    given = batch(rows=1, columns=1)
    soft, hard = build(replace(HARD, attention="soft")), build(HARD)
    found = {}
    for system in (soft, hard):
        loss = system(given)
        loss.total.backward()
        found[system] = loss.total.detach(), [parameter.grad for parameter in system.parameters()]
    torch.testing.assert_close(found[hard], found[soft])


def test_the_bound_weighs_what_was_sampled_by_the_likelihood_per_word_less_the_baseline():
    """Eqs. 11 and 12 by hand, for one caption of two words: the signal is lambda_r (log p / 2 - b), at both steps."""
    system = build(replace(HARD, reward_weight=0.3, entropy_weight=0.2))
    system.baseline.fill_(-1.5)
    likelihood = torch.tensor([[-2.0, -3.0]]).double().requires_grad_()
    log_prob = torch.tensor([[-0.5, -0.7]]).double().requires_grad_()
    spread = torch.tensor([[0.4, 0.6]]).double().requires_grad_()
    system.bound(likelihood, log_prob, spread, torch.ones(1, 2, dtype=torch.bool)).backward()
    for tensor, expected in ((likelihood, -1.0), (log_prob, -0.3 * (-2.5 + 1.5)), (spread, -0.2)):
        torch.testing.assert_close(tensor.grad, torch.full((1, 2), expected).double())
    assert float(system.baseline) == pytest.approx(0.9 * -1.5 + 0.1 * -2.5)


@pytest.mark.parametrize("padding", [0, 2])
def test_sampled_captions_learn_by_the_bound(padding: int):
    """Eqs. 10 to 12 from the words to the gradient of every part, at real steps alone."""
    config = replace(HARD, reward_weight=0.3, entropy_weight=0.2)
    system, given = build(config), batch(padding=padding)
    system.baseline.fill_(-1.5)
    torch.manual_seed(1)
    system(given).total.backward()
    found = {name: parameter.grad for name, parameter in system.named_parameters()}
    system.zero_grad()
    torch.manual_seed(1)
    torch.rand(())  # the coin comes before the cells
    course, words = follow(system, given, sampled=True)
    log_probs = system.read_out(words, course.states, course.reads).log_softmax(-1)
    log_probs = log_probs.gather(-1, given.target.values.unsqueeze(-1)).squeeze(-1)
    assert course.log_probs is not None
    total = torch.zeros(()).double()
    for row, length in enumerate(LENGTHS):
        likelihood = log_probs[row, :length].sum()
        signal = 0.3 * (likelihood.detach() / length + 1.5)
        weights = course.weights[row, :length]
        total = total - likelihood - signal * course.log_probs[row, :length].sum()
        total = total + 0.2 * (weights * weights.log()).sum()
    total.backward()
    for name, parameter in system.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, msg=lambda text, name=name: f"{name}: {text}")


def test_what_is_dropped_is_what_the_settings_say():
    """The read before the LSTM, the state before the word, the deep output; not the state that a look is made by."""
    config = replace(GRIDS, dropout=0.5, state_dropout=0.3)
    system, given = build(config), batch()
    dropped: dict[str, list[tuple[int, ...]]] = {"dropout": [], "state_dropout": []}
    for name, shapes in dropped.items():
        layer = system.get_submodule(name)
        layer.register_forward_pre_hook(lambda _, inputs, shapes=shapes: shapes.append(tuple(inputs[0].shape)))
    system(given)
    words, steps = sum(LENGTHS), max(LENGTHS)
    assert dropped["dropout"] == [(words, config.embedding)]
    assert dropped["state_dropout"] == [(len(LENGTHS), 1, 4)] * steps + [(words, config.hidden)]
    assert (system.dropout.p, system.state_dropout.p) == (0.5, 0.3)


def test_the_baseline_is_a_moving_average_of_what_sampled_captions_reach():
    system, given = build(HARD), batch()
    torch.manual_seed(1)
    torch.rand(())  # the coin comes before the cells
    course, words = follow(system, given, sampled=True)
    torch.manual_seed(1)
    system(given)
    log_probs = system.read_out(words, course.states, course.reads).log_softmax(-1)
    log_probs = log_probs.gather(-1, given.target.values.unsqueeze(-1)).squeeze(-1) * given.target.mask
    mean = (log_probs.sum(1) / given.target.mask.sum(1)).mean()
    torch.testing.assert_close(system.baseline, 0.1 * mean.detach())
    before = system.baseline.clone()
    system.eval()(given)
    torch.testing.assert_close(system.baseline, before)
    assert "baseline" in system.state_dict()
    assert "baseline" not in build(GRIDS).state_dict()


def test_a_coin_a_minibatch_says_whether_cells_are_sampled():
    system, given = build(replace(HARD, sampled=0.5)), batch()
    torch.manual_seed(4)
    moved = 0
    for _ in range(100):
        before = system.baseline.clone()
        system(given)
        moved += bool(system.baseline != before)
    assert 35 < moved < 65


def test_expected_minibatches_learn_the_entropy_too():
    system, given = build(replace(HARD, sampled=1e-9, entropy_weight=0.5)), batch()
    loss = system(given)
    captions = [given.target.values[row, :length].tolist() for row, length in enumerate(LENGTHS)]
    images = given.inputs["image"].numpy()
    weights = [oracle(system, image, caption)[0] for image, caption in zip(images, captions, strict=True)]
    spread = -sum(float((each * np.log(each)).sum()) for each in weights)
    assert float(loss.terms["entropy"]) == pytest.approx(spread)
    assert float(loss.total.detach()) == pytest.approx(float(loss.terms["nll"]) - 0.5 * spread)


def test_hard_attention_reads_the_expectation_at_test():
    soft, hard = build(replace(HARD, attention="soft")).eval(), build(HARD).eval()
    torch.testing.assert_close(hard(batch()).total, soft(batch()).total)
    first, second = (decoding.beam_search(system, batch(), 6, 3) for system in (soft, hard))
    assert [one[0].tokens for one in first] == [one[0].tokens for one in second]


def test_the_control_reads_the_mean_of_all_cells():
    system, given = build(replace(GRIDS, attention="mean")).eval(), batch()
    order = torch.tensor([4, 2, 0, 5, 1, 3])
    moved = given.inputs["image"].flatten(2)[..., order].unflatten(2, (2, 3))
    torch.testing.assert_close(system(Batch({"image": moved}, given.target)).total, system(given).total)
    memory = system.start(given).memory
    assert memory is not None
    assert (memory.values.shape[1], memory.shape) == (1, ())


@pytest.mark.parametrize(("rows", "columns", "grid"), [(64, 64, (8, 8)), (50, 200, (7, 25)), (8, 8, (1, 1))])
def test_the_encoder_has_a_cell_for_eight_pixels(rows: int, columns: int, grid: tuple[int, int]):
    given = Batch({"image": torch.rand(2, 4, rows, columns).double()})
    memory = build(IMAGES).start(given).memory
    assert memory is not None
    assert (memory.over, memory.shape, memory.sampled) == ("image", grid, False)
    assert memory.values.shape == (2, grid[0] * grid[1], 8)


def test_a_memory_says_what_its_cells_are():
    for config, sampled in ((GRIDS, False), (HARD, True)):
        memory = build(config).start(batch(rows=2, columns=3)).memory
        assert memory is not None
        assert (memory.over, memory.shape, memory.sampled) == ("image", (2, 3), sampled)


@pytest.mark.parametrize(
    ("encoder", "size"),
    [("none", "image_channels"), ("convolutional", "image_features"), ("backbone", "image_features")],
)
def test_pixels_and_features_are_not_taken_for_one_another(encoder: Any, size: str):
    with pytest.raises(ValueError, match=r"system\.encoder"):
        System(replace(GRIDS, encoder=encoder), VOCABULARY, **{size: 4})


def test_a_cell_of_the_encoder_is_the_middle_of_what_it_sees():
    encoder = ConvolutionalEncoder(4, 8).double()
    # Everything positive, so that no rectifier hides a pixel; and what sees all cells left out.
    for layer in (*encoder.halve, encoder.placed):
        layer.get_parameter("weight").data.abs_()
    encoder.normalise = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    images = torch.full((1, 4, 40, 48), 9.0, dtype=torch.float64, requires_grad=True)
    encoder(images)[0, :, 2, 3].sum().backward()
    assert images.grad is not None
    seen = images.grad[0].abs().sum(0)
    rows, columns = seen.nonzero().T
    # Its own pixels are rows 16 to 23 and columns 24 to 31.
    assert (int(rows.min()), int(rows.max())) == (16 - 7, 23 + 7)
    assert (int(columns.min()), int(columns.max())) == (24 - 7, 31 + 7)


def test_cells_divide_an_image_evenly():
    # Ten rows of twenty: the edge is in the middle of three cells, where it is in the middle of the image.
    ramp = torch.arange(20, dtype=torch.float64).reshape(1, 1, 20, 1).expand(1, 1, 20, 8)
    stretched = whole_cells(ramp, 8)
    assert stretched.shape == (1, 1, 24, 8)
    above, middle, below = stretched.reshape(3, 64).mean(1).tolist()
    assert (middle, above + below) == pytest.approx((9.5, 19.0))
    encoder = ConvolutionalEncoder(1, 8).double()
    torch.testing.assert_close(encoder(ramp), encoder(stretched))
    assert whole_cells(stretched, 8) is stretched


def test_cells_are_given_their_places():
    found = places(torch.zeros(2, 5, 8, 4, dtype=torch.float64))
    assert found.shape == (2, 16, 8, 4)
    # As many rows as bands: each is in its own. Half as many columns: each is half in one band and half in the next.
    torch.testing.assert_close(found[1, :8, :, 3], torch.eye(8, dtype=torch.float64))
    assert found[0, 8:, 2].T.tolist() == [
        [0.5, 0.5, 0, 0, 0, 0, 0, 0],
        [0, 0, 0.5, 0.5, 0, 0, 0, 0],
        [0, 0, 0, 0, 0.5, 0.5, 0, 0],
        [0, 0, 0, 0, 0, 0, 0.5, 0.5],
    ]
    # More columns than bands: all of a column is somewhere, also at the edges.
    torch.testing.assert_close(places(torch.zeros(1, 5, 3, 25))[0, 8:].sum(0), torch.ones(3, 25))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampled": 0.0}, "sampled must be above 0"),
        ({"penalty": -1.0}, "penalty must be at least 0"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1"),
        ({"state_dropout": 1.0}, "state_dropout must be at least 0 and below 1"),
        ({"hidden": 0}, "hidden must be at least 1"),
        ({"backbone_weights": "vgg.safetensors"}, 'backbone_weights .* "none"'),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        replace(GRIDS, **changes)


class StandIn(nn.Module):
    """What timm's models are like, as far as a backbone needs it: here with maps of 4, 8, 16 and 32 pixels a cell."""

    def __init__(self, channels: int, out_indices: tuple[int, ...] = (0, 1, 2, 3)) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Conv2d(channels, 5, 4, stride=4), nn.BatchNorm2d(5), nn.Dropout(0.5))
        self.indices = out_indices
        self.feature_info = SimpleNamespace(
            channels=lambda: [5 for _ in out_indices], reduction=lambda: [4 * 2**index for index in out_indices]
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        return [F.avg_pool2d(self.layer(images), 2**index) for index in self.indices]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A stand-in for timm, and how its models were asked for."""
    made: list[dict[str, Any]] = []

    def create_model(name: str, **given: Any) -> StandIn:
        if name == "unknown":
            raise RuntimeError("Unknown model (unknown)")
        made.append({"name": name, **given})
        return StandIn(given["in_chans"], given.get("out_indices", (0, 1, 2, 3)))

    data = SimpleNamespace(resolve_model_data_config=lambda model: {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.2, 0.2)})
    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model, data=data))  # pyright: ignore
    return made


def test_a_backbone_is_asked_for_without_the_network_and_stays_as_it_is(calls: list[dict[str, Any]]):
    torch.manual_seed(0)
    system = System(replace(GRIDS, encoder="backbone", backbone="vgg19"), VOCABULARY, 3).train()
    asked = {"name": "vgg19", "features_only": True, "in_chans": 3, "pretrained": False}
    # The last map with no more than 16 pixels to a cell, which VGG has before its last pooling.
    assert calls == [asked, asked | {"out_indices": (2,)}]
    images = torch.rand(3, 3, 32, 48)
    for size, grid in (((32, 48), (2, 3)), ((50, 47), (4, 3))):
        memory = system.start(Batch({"image": torch.rand(1, 3, *size)})).memory
        assert memory is not None
        assert memory.shape == grid
    system.prepare_training()
    assert isinstance(system, Starts)
    assert len(calls) == 2, "without a file it stays as it is"
    system(Batch({"image": images}, batch().target)).total.backward()
    encoder = system.encoder
    assert isinstance(encoder, Backbone)
    assert all(parameter.grad is None for parameter in encoder.parameters())
    assert touched(system) == parts(system) - {"encoder"}
    torch.testing.assert_close(encoder(images), encoder(images))
    # It sees what it was trained on: brightness less the mean, by the deviation.
    units = (images - torch.tensor([0.5, 0.4, 0.3]).reshape(3, 1, 1)) / 0.2
    torch.testing.assert_close(encoder(images), F.avg_pool2d(encoder.model.layer(units), 4))


def test_a_backbone_takes_grey_images(calls: list[dict[str, Any]]):
    encoder = Backbone("vgg19", 1)
    images = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(encoder(images), F.avg_pool2d(encoder.model.layer((images - 0.4) / 0.2), 4))


def test_a_backbone_begins_with_the_weights_of_a_file(calls: list[dict[str, Any]]):
    config = replace(GRIDS, encoder="backbone", backbone_weights="weights.safetensors")
    system = System(config, VOCABULARY, 3)
    assert not any(call["pretrained"] for call in calls)
    system.prepare_training()
    assert calls[-1]["pretrained"] is True
    assert calls[-1]["pretrained_cfg_overlay"] == {"file": "weights.safetensors"}


def test_a_backbone_that_is_not_known_or_not_there_is_named(
    calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(ValueError, match="can't make the backbone 'unknown'"):
        Backbone("unknown", 3)
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ValueError, match=r"pip install 'attend\[backbone\]'"):
        Backbone("vgg19", 3)
