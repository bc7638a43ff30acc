"""DRAW's step against a slow NumPy one, what its bound is made of, and that its windows can go anywhere unharmed."""

import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import distributions, nn
from torch.nn import functional as F

from attend.contract import Batch, Pictures
from attend.data.digits import binarise, read_digits
from attend.learning import importance_bound
from attend.systems.draw import Classifier, ClassifierConfig, Config, System, WithAttention, divergence

SMALL = Config(steps=3, hidden=6, latent=4, read=2, write=3)
CHANNELS, ROWS, COLUMNS = 2, 7, 9


def built(config: Config, scale: float = 0.5) -> Any:
    """A system in float64 with weights so large that everything matters."""
    torch.manual_seed(0)
    system = System(config, CHANNELS, ROWS, COLUMNS).double().requires_grad_(False)
    for parameter in system.parameters():
        nn.init.normal_(parameter, std=scale)
    return system


def some(count: int = 3) -> torch.Tensor:
    return torch.rand(count, CHANNELS, ROWS, COLUMNS, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


# The paper's step for one image, filter by filter and pixel by pixel, its pixels and filters counted from 1.


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def one_lstm(gates: nn.Linear, inputs: np.ndarray, hidden: np.ndarray, cell: np.ndarray) -> tuple[Any, Any]:
    before = gates.weight.numpy() @ np.concatenate([inputs, hidden]) + gates.bias.numpy()
    into, kept, out = (sigmoid(part) for part in np.split(before, 4)[:3])
    cell = kept * cell + into * np.tanh(np.split(before, 4)[3])
    return out * np.tanh(cell), cell


def one_bank(centre: float, stride: float, variance: float, count: int, cells: int) -> np.ndarray:
    bank = np.zeros((count, cells))
    for i in range(1, count + 1):
        mean = centre + (i - count / 2 - 0.5) * stride
        for a in range(1, cells + 1):
            bank[i - 1, a - 1] = math.exp(-((a - mean) ** 2) / (2 * variance))
        bank[i - 1] /= bank[i - 1].sum()
    return bank


def one_window(five: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, float]:
    across = (COLUMNS + 1) / 2 * (five[0] + 1)
    down = (ROWS + 1) / 2 * (five[1] + 1)
    variance, intensity = math.exp(five[2]), math.exp(five[4])
    stride = (max(ROWS, COLUMNS) - 1) / (count - 1) * math.exp(five[3])
    return (
        one_bank(down, stride, variance, count, ROWS),
        one_bank(across, stride, variance, count, COLUMNS),
        intensity,
    )


def one_course(system: Any, image: np.ndarray, noise: np.ndarray) -> tuple[list[np.ndarray], list[float]]:
    """The canvas after each step, and the divergence of each step."""
    config = system.config
    canvas = system.first_canvas.numpy().copy()
    encoder, decoder = system.first_encoder.numpy(), system.first_decoder.numpy()
    encoder_cell, decoder_cell = np.zeros(config.hidden), np.zeros(config.hidden)
    hand, canvases, divergences = system.hand.from_decoder, [], []
    for chance in noise:
        says = hand.weight.numpy() @ decoder + hand.bias.numpy()
        vertical, horizontal, intensity = one_window(says[5:10], config.read)
        seen = [
            intensity * vertical @ channel @ horizontal.T
            for channels in (image, image - sigmoid(canvas))
            for channel in channels
        ]
        inputs = np.concatenate([np.concatenate([part.ravel() for part in seen]), decoder])
        encoder, encoder_cell = one_lstm(system.encoder.gates, inputs, encoder, encoder_cell)
        both = system.posterior.weight.numpy() @ encoder + system.posterior.bias.numpy()
        mean, deviation = both[: config.latent], np.exp(both[config.latent :])
        divergences.append(
            sum(0.5 * (m * m + s * s - math.log(s * s) - 1) for m, s in zip(mean, deviation, strict=True))
        )
        decoder, decoder_cell = one_lstm(system.decoder.gates, mean + deviation * chance, decoder, decoder_cell)
        says = hand.weight.numpy() @ decoder + hand.bias.numpy()
        vertical, horizontal, intensity = one_window(says[:5], config.write)
        patch = says[10:].reshape(CHANNELS, config.write, config.write)
        canvas = canvas + np.stack([vertical.T @ channel @ horizontal / intensity for channel in patch])
        canvases.append(canvas)
    return canvases, divergences


@pytest.mark.parametrize(("read", "write"), [(2, 3), (3, 3)])
def test_every_step_is_the_papers(read: int, write: int):
    system = built(replace(SMALL, read=read, write=write))
    images = some()
    noise = system.noise(3, torch.Generator().manual_seed(2)).double()
    found, bounds = system.course(images, noise), system.bounds(images, noise)
    for number, image in enumerate(images.numpy()):
        canvases, divergences = one_course(system, image, noise[:, number].numpy())
        for canvas, expected in zip(found.canvases, canvases, strict=True):
            np.testing.assert_allclose(canvas[number].numpy(), expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(bounds.kl[number].numpy(), divergences, rtol=1e-9)
        white = sigmoid(canvases[-1])
        cost = -(image * np.log(white) + (1 - image) * np.log(1 - white)).sum()
        assert float(bounds.reconstruction[number]) == pytest.approx(cost)


@pytest.mark.parametrize("attention", ["both", "none"])
def test_what_is_drawn_anew_goes_by_the_steps_of_what_is_given(attention: Literal["both", "none"]):
    """Equations 13 to 16: from the same latent vectors, the same canvases and windows."""
    system = built(replace(SMALL, attention=attention))
    images, noise = some(), system.noise(3).double()
    given, anew = system.reconstruct(images, noise), system.generate(system.course(images, noise).latent)
    torch.testing.assert_close(anew.canvases, given.canvases)
    for looks, expected in zip(anew.looks, given.looks, strict=True):
        for part, other in zip(looks.get("write", ()), expected.get("write", ()), strict=True):
            np.testing.assert_allclose(part, other)


def test_without_attention_the_whole_image_and_its_error_are_read():
    """Equation 17's product of the image, taken once, is that of each step."""
    system = built(replace(SMALL, attention="none"), scale=0.1)
    images, noise = some(), system.noise(3).double()
    found = system.course(images, noise)
    canvas, decoder = system.start(3)
    encoder_hidden, encoder_cell = system.first_encoder.expand(3, -1), torch.zeros(3, SMALL.hidden, dtype=torch.float64)
    whole = torch.cat([system.hand.from_image.weight, system.encoder.gates.weight], 1)
    for step in range(SMALL.steps):
        seen = torch.cat([images, images - torch.sigmoid(canvas)], 1).flatten(1)
        gates = F.linear(torch.cat([seen, decoder.hidden, encoder_hidden], 1), whole, system.encoder.gates.bias)
        into, kept, out, new = gates.chunk(4, 1)
        encoder_cell = kept.sigmoid() * encoder_cell + into.sigmoid() * new.tanh()
        encoder_hidden = out.sigmoid() * encoder_cell.tanh()
        mean, log_deviation = system.posterior(encoder_hidden).chunk(2, 1)
        decoder = system.decoder([mean + log_deviation.exp() * noise[step]], decoder)
        canvas = canvas + system.hand.from_decoder(decoder.hidden).unflatten(1, (CHANNELS, ROWS, COLUMNS))
        torch.testing.assert_close(found.canvases[step], canvas)


def test_the_divergence_is_that_of_two_gaussians():
    mean, log_deviation = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    posterior, prior = distributions.Normal(mean, log_deviation.exp()), distributions.Normal(0.0, 1.0)
    expected = distributions.kl_divergence(posterior, prior).sum(-1)
    torch.testing.assert_close(divergence(mean, log_deviation), expected)


def test_the_weight_of_a_sample_is_that_of_its_distributions():
    system = built(SMALL)
    images, noise = some(), system.noise(3).double()
    course, bounds = system.course(images, noise), system.bounds(images, noise)
    posterior, prior = distributions.Normal(course.mean, course.log_deviation.exp()), distributions.Normal(0.0, 1.0)
    ratio = (prior.log_prob(course.latent) - posterior.log_prob(course.latent)).sum((0, 2))
    torch.testing.assert_close(bounds.log_weight, ratio - bounds.reconstruction)


def test_more_samples_give_a_tighter_bound_and_one_gives_the_bound_itself():
    system = built(SMALL, scale=0.3)
    images = some(1).expand(4000, -1, -1, -1)
    bounds = system.bounds(images, system.noise(4000, torch.Generator().manual_seed(0)).double())
    plain = -(bounds.reconstruction + bounds.kl.sum(1))
    spread = float((bounds.log_weight - plain).std()) / 4000**0.5
    assert float((bounds.log_weight - plain).mean()) == pytest.approx(0, abs=4 * spread)
    assert float(importance_bound(bounds.log_weight.reshape(80, 50)).mean()) > float(plain.mean()) + 4 * spread


def test_noise_is_another_at_every_step_and_in_every_call():
    system = built(SMALL)
    first, second = system.noise(2), system.noise(2)
    assert first.shape == (3, 2, 4)
    values = torch.cat([first.flatten(), second.flatten()])
    assert len(values.unique()) == len(values)
    system.train()
    batch = Pictures(some())
    assert float(system(batch).total) != float(system(batch).total)


def test_each_step_draws_with_its_own_noise():
    system = built(SMALL)
    noise = system.noise(3).double()
    other = noise.clone()
    other[1] += 1
    first, second = system.course(some(), noise).canvases, system.course(some(), other).canvases
    changed = [bool((one != two).any()) for one, two in zip(first, second, strict=True)]
    assert changed == [False, True, True]


@pytest.mark.parametrize("place", [50.0, -1e4])
@pytest.mark.parametrize("variance", [-10.0, 3.0])
def test_gradients_are_finite_where_the_windows_leave_the_image(place: float, variance: float):
    torch.manual_seed(0)
    system = System(SMALL, CHANNELS, ROWS, COLUMNS)
    with torch.no_grad():
        system.hand.from_decoder.bias[:10] = torch.tensor([place, place, variance, 0.0, 0.0] * 2)
    loss = system(Pictures(some().float()))
    loss.total.backward()
    assert loss.total.isfinite()
    gradients = {name: parameter.grad for name, parameter in system.named_parameters()}
    assert all(gradient is not None and bool(gradient.isfinite().all()) for gradient in gradients.values())


def test_at_first_the_windows_are_the_whole_image_and_a_patch_of_ones_writes_ones():
    torch.manual_seed(0)
    system = System(Config(steps=1, hidden=6, latent=4, read=5, write=5), 1, 28, 28).requires_grad_(False)
    reach = system.hand(torch.zeros(1, 6))
    for window in (reach.read, reach.write):
        torch.testing.assert_close(window.aim.centre, torch.full((1, 2), 13.5))
        torch.testing.assert_close(window.aim.stride, torch.full((1,), 27 / 4))
    inside = system.hand.write(reach._replace(patch=torch.ones(1, 1, 5, 5)))[0, 0, 7:21, 7:21]
    assert float((inside - 1).abs().max()) < 0.3


def bound_after_training(steps: int) -> float:
    """The bound on the small digits' validation part, in nats an image, after a short training."""
    digits = {part: torch.from_numpy(pixels(part)) for part in ("train", "valid")}
    torch.manual_seed(1)
    system = System(Config(steps=steps, hidden=64, latent=10, read=3, write=3), 1, 8, 8)
    optimiser = torch.optim.Adam(system.parameters(), 4e-3)
    for _ in range(10):
        for rows in torch.randperm(len(digits["train"])).split(32):
            loss = system(Pictures(digits["train"][rows]))
            optimiser.zero_grad()
            (loss.total / loss.units).backward()
            nn.utils.clip_grad_norm_(system.parameters(), 5.0)
            optimiser.step()
    with torch.no_grad():
        found = system(Pictures(digits["valid"]))
    return float(found.total) / found.units


def pixels(part: Literal["train", "valid"]) -> np.ndarray:
    digits = binarise(read_digits("small", part), 1)
    return digits.floats(np.arange(len(digits)))


def test_more_steps_draw_better():
    one, four = bound_after_training(1), bound_after_training(4)
    # Independent pixels, each as white as it is in the mean, cost about 27.
    assert four < one - 0.3 < 26.6


def test_the_reader_reads_through_the_window_it_aims():
    torch.manual_seed(0)
    system = Classifier(ClassifierConfig(glimpses=2, hidden=6, read=3), CHANNELS, 4).double().requires_grad_(False)
    for parameter in system.parameters():
        nn.init.normal_(parameter, std=0.5)
    images = some()
    found = system.answer(Batch({"image": images}))
    for number, image in enumerate(images.numpy()):
        hidden, cell = system.first.numpy(), np.zeros(6)
        for step in range(2):
            five = system.aim.weight.numpy() @ hidden + system.aim.bias.numpy()
            # From nothing, filters that are 4 pixels apart have half of that as deviation.
            vertical, horizontal, intensity = one_window(five + np.array([0, 0, 2 * math.log(2), 0, 0]), 3)
            seen = np.stack([intensity * vertical @ channel @ horizontal.T for channel in image])
            hidden, cell = one_lstm(system.core.gates, seen.ravel(), hidden, cell)
            logits = system.action.weight.numpy() @ hidden + system.action.bias.numpy()
            np.testing.assert_allclose(found.logits[number, step].numpy(), logits, rtol=1e-9)
        assert found.looks["read"].values[number].centre.shape == (2, 2)
    assert (found.looks["read"].over, found.looks["read"].steps) == ("image", "output")
    loss = system(Batch({"image": images}, torch.tensor([0, 1, 2])))
    expected = F.cross_entropy(found.logits[:, -1], torch.tensor([0, 1, 2]), reduction="sum")
    torch.testing.assert_close(loss.total, expected)


def test_the_control_reads_the_means_of_the_whole_image():
    torch.manual_seed(0)
    system = Classifier(ClassifierConfig(glimpses=2, hidden=6, read=3, attention="none"), 1, 4).requires_grad_(False)
    images = torch.rand(2, 1, 6, 6)
    parts = images.unflatten(2, (3, 2)).unflatten(4, (3, 2)).mean((3, 5))
    stretched = parts.repeat_interleave(2, 2).repeat_interleave(2, 3)
    found, same = (system.answer(Batch({"image": pictures})) for pictures in (images, stretched))
    torch.testing.assert_close(found.logits, same.logits)
    assert found.looks == {}


@pytest.mark.parametrize("shape", [(28, 28), (40, 60), (50, 400), (400, 50), (1, 300), (300, 1)])
def test_a_first_patch_of_ones_adds_about_ones(shape: tuple[int, int]):
    hand = WithAttention(Config(), 1, *shape)
    with torch.no_grad():
        reach = hand(torch.zeros(1, Config.hidden))
        canvas = hand.write(reach._replace(patch=torch.ones_like(reach.patch)))[0, 0]
    assert float(canvas[shape[0] // 2, shape[1] // 2]) == pytest.approx(1, abs=0.1)


def test_half_precision_gives_about_the_same_loss():
    torch.manual_seed(0)
    system = System(replace(SMALL, hidden=16), CHANNELS, ROWS, COLUMNS)
    batch = Pictures(some().float())
    torch.manual_seed(1)
    expected = float(system(batch).total.detach())
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        loss = system(batch)
        course = system.course(batch.images, system.noise(len(batch.images)))
    loss.total.backward()
    assert loss.total.dtype == torch.float32
    assert float(loss.total.detach()) == pytest.approx(expected, rel=0.02)
    # The divergence is a small difference of large numbers.
    assert {course.mean.dtype, course.log_deviation.dtype} == {torch.float32}
    gradients = [parameter.grad for parameter in system.parameters()]
    assert all(gradient is not None and bool(gradient.isfinite().all()) for gradient in gradients)
