"""What learns from what in RAM, and what its choice of places is worth on images that can't be seen in one glimpse."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attend.attention.glimpse import Views, look, prepare
from attend.contract import Batch
from attend.data.catch import Catch
from attend.systems.ram import Config, Player, Scan, System

SMALL = Config(glimpses=3, size=3, hidden=16, sensed=8, glimpse=16, deviation=0.2)
# A game has its own number of glimpses.
GAME = replace(SMALL, glimpses=Config.glimpses)


def images(count: int = 6) -> Tensor:
    return torch.rand(count, 1, 9, 9, generator=torch.Generator().manual_seed(0))


def batch() -> Batch:
    return Batch({"image": images()}, torch.arange(6) % 3)


def scan_at(system: System, pictures: Tensor, places: Tensor) -> Scan:
    """A scan of these places [batch copy step 2], whatever the system would choose."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(system.location, "choose", lambda state, sampled, step: places[:, :, step])
        return system.scan(pictures, places.shape[1], sampled=True)


def touched(system: nn.Module) -> set[str]:
    """The parts of a system that have a gradient."""
    return {
        name.split(".")[0]
        for name, parameter in system.named_parameters()
        if parameter.grad is not None and bool(parameter.grad.abs().max() > 0)
    }


@pytest.mark.parametrize("path", [0.0, 0.5])
def test_a_scan_goes_by_the_paper_s_equations(path: float):
    torch.manual_seed(0)
    system = System(replace(SMALL, glimpses=2, scales=2, path=path), 1, 3).double().requires_grad_(False)
    for parameter in system.parameters():
        nn.init.normal_(parameter, std=0.5)
    pictures = images().double()
    # Some lie outside the image.
    places = 3 * torch.rand(6, 1, 2, 2, dtype=torch.float64) - 1.5
    found = scan_at(system, pictures, places)
    weight = {name: value.numpy() for name, value in system.named_parameters()}

    def layer(name: str, inputs: np.ndarray) -> np.ndarray:
        return weight[f"{name}.weight"] @ inputs + weight[f"{name}.bias"]

    def relu(values: np.ndarray) -> np.ndarray:
        return np.maximum(values, 0)

    eye = places.clamp(-1, 1)
    for number in range(6):
        state = np.zeros(SMALL.hidden)
        for step in range(2):
            answer = layer("location.mean", state)
            mean = np.tanh(weight["location.path"][step] + answer / 10 if path else answer)
            off = (places[number, 0, step].numpy() - mean) / SMALL.deviation
            density = -(off**2).sum() / 2 - np.log(2 * np.pi * SMALL.deviation**2)
            assert float(found.log_probs[number, 0, step]) == pytest.approx(density)
            assert float(found.baselines[number, 0, step]) == pytest.approx(float(layer("baseline", state)[0]))
            where = eye[number : number + 1, :, step]
            patches = look(prepare(pictures[number : number + 1], 2), where, SMALL.size).flatten().numpy()
            seen = relu(layer("glimpse.patches", patches))
            placed = relu(layer("glimpse.place", where.flatten().numpy()))
            glimpse = relu(layer("glimpse.from_patches", seen) + layer("glimpse.from_place", placed))
            state = relu(layer("from_state", state) + layer("from_glimpse", glimpse))
            np.testing.assert_allclose(found.states[step][number, 0].numpy(), state)
    torch.testing.assert_close(found.where, eye)


def test_the_answer_is_that_after_the_last_glimpse():
    torch.manual_seed(0)
    system, given = System(replace(SMALL, scales=2), 1, 3).eval(), batch()
    found, loss = system.answer(given), system(given)
    logits = found.logits
    torch.testing.assert_close(loss.total, F.cross_entropy(logits[:, -1], given.target, reduction="sum"))
    assert float(loss.terms["error"]) == float((logits[:, -1].argmax(-1) != given.target).sum())
    assert not torch.allclose(logits[:, 0], logits[:, -1])
    seen = found.looks["glimpse"]
    assert (seen.over, seen.steps) == ("image", "output")
    where = system.scan(given.inputs["image"], 1, sampled=False).where
    for views, places in zip(seen.values, where[:, 0], strict=True):
        assert isinstance(views, Views)
        np.testing.assert_allclose(views.centre[::2], places.detach().numpy())
        np.testing.assert_array_equal(views.scale, [0, 1] * SMALL.glimpses)


def test_a_place_is_measured_against_what_was_known_before_it():
    """A baseline that knew the choice would bias what is learnt from it."""
    torch.manual_seed(0)
    system = System(SMALL, 1, 3).requires_grad_(False)
    places = 2 * torch.rand(6, 2, SMALL.glimpses, 2) - 1

    def baselines(places: Tensor) -> Tensor:
        return scan_at(system, images(), places).baselines

    before = baselines(places)
    for step in range(SMALL.glimpses):
        moved = places.clone()
        moved[:, :, step] *= -1
        after = baselines(moved)
        assert torch.equal(after[:, :, : step + 1], before[:, :, : step + 1])
        assert step + 1 == SMALL.glimpses or bool((after[:, :, step + 1] != before[:, :, step + 1]).any())


def test_the_places_are_learnt_from_the_reward_alone():
    torch.manual_seed(0)
    system = System(SMALL, 1, 3)
    scan = system.scan(images(), copies=2, sampled=True)
    scan.log_probs.sum().backward()
    assert touched(system) == {"location"}


def test_half_precision_leaves_places_and_their_chances_whole():
    torch.manual_seed(0)
    system = System(SMALL, 1, 3)
    with torch.autocast("cpu", torch.bfloat16):
        scan = system.scan(images(), copies=2, sampled=True)
        losses = system(batch()), system.eval()(batch())
        played = Player(GAME, 1, 3).play(Catch(np.arange(5), 6), sampled=False)
    parts = [scan.where, scan.log_probs, played.where, played.log_prob_place, played.log_prob_move]
    parts += [loss.total for loss in losses]
    assert {part.dtype for part in parts} == {torch.float32}
    assert losses[1].total.item() == pytest.approx(system(batch()).total.item(), rel=2e-3)


def test_the_baseline_is_learnt_from_its_own_error_alone():
    torch.manual_seed(0)
    system = System(SMALL, 1, 3)
    system.scan(images(), copies=2, sampled=True).baselines.square().sum().backward()
    assert touched(system) == {"baseline"}


def test_the_class_teaches_what_is_seen_and_not_where_to_look():
    torch.manual_seed(0)
    system = System(SMALL, 1, 3)
    system.action(system.scan(images(), copies=2, sampled=True).states[-1]).square().sum().backward()
    assert touched(system) == {"glimpse", "from_glimpse", "from_state", "action"}


@pytest.mark.parametrize("reward", ["right", "probability", "log-probability"])
def test_a_path_is_rewarded_with_what_is_chosen(reward: Literal["right", "probability", "log-probability"]):
    torch.manual_seed(0)
    system = System(replace(SMALL, reward=reward), 1, 3)
    torch.manual_seed(1)
    system(batch()).total.backward()
    found = [parameter.grad for parameter in system.location.parameters()]
    torch.manual_seed(1)
    scan = system.scan(images(), copies=1, sampled=True)
    policy = system.action(scan.states[-1]).softmax(-1)[:, 0].detach()
    label = batch().target
    of_label = policy[torch.arange(6), label]
    rewards = {"right": policy.argmax(-1) == label, "probability": of_label, "log-probability": of_label.log()}
    advantage = rewards[reward].float()[:, None] - scan.baselines[:, 0].detach()
    gradients = torch.autograd.grad(-(advantage * scan.log_probs[:, 0]).sum(), list(system.location.parameters()))
    for one, other in zip(found, gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_a_path_starts_as_a_grid_read_like_a_page():
    def places(glimpses: int) -> list[tuple[float, float]]:
        system = System(replace(SMALL, glimpses=glimpses, path=0.5), 1, 3).eval().requires_grad_(False)
        assert system.location.mean is not None
        for weight in system.location.mean.parameters():
            weight.zero_()
        where = system.scan(images(), copies=1, sampled=False).where
        torch.testing.assert_close(where, where[:1].expand_as(where))
        return [(round(x, 5), round(y, 5)) for x, y in where[0, 0].tolist()]

    assert places(1) == [(0, 0)]
    assert places(2) == [(0, -0.25), (0, 0.25)]
    assert places(5) == [(-0.25, -0.5), (0.25, -0.5), (-0.25, 0), (0.25, 0), (0, 0.5)]
    assert places(7)[-1] == (0, 0.5)


def test_a_path_is_scored_as_it_is_looked_at():
    torch.manual_seed(0)
    system = System(replace(SMALL, path=0.5), 1, 3).requires_grad_(False)
    assert system.location.mean is not None
    for weight in system.location.mean.parameters():
        weight.zero_()
    means = system.scan(images(), copies=1, sampled=False).where
    sampled = system.scan(images(), copies=2, sampled=True)
    # No sample lies so far out that the eye is elsewhere than what was sampled.
    squares = ((sampled.where - means) / SMALL.deviation).square().sum(-1)
    torch.testing.assert_close(sampled.log_probs, -squares / 2 - np.log(2 * np.pi * SMALL.deviation**2))


def test_a_path_that_can_not_be_is_refused():
    for places in ("random", "centre"):
        with pytest.raises(ValueError, match=rf'path .* "{places}"'):
            replace(SMALL, path=0.5, places=places)
    with pytest.raises(ValueError, match=r"path of 10 glimpses"):
        replace(SMALL, glimpses=10, path=0.7)


def test_copies_are_looked_at_like_images_of_their_own():
    """More copies only average: with the same places, one copy of each image costs what the mean of many does."""
    torch.manual_seed(0)
    one, many = System(replace(SMALL, places="centre"), 1, 3), System(replace(SMALL, places="centre", copies=4), 1, 3)
    many.load_state_dict(one.state_dict())
    torch.testing.assert_close(many(batch()).total, one(batch()).total)


def test_what_is_scored_is_the_place_that_was_sampled_and_not_where_the_eye_stopped():
    torch.manual_seed(0)
    system = System(replace(SMALL, deviation=0.9), 1, 3)
    scan = system.scan(images(), copies=8, sampled=True)
    assert float(scan.where.detach().abs().max()) == 1
    # Far out a clamped place would be scored as one near the mean: all densities would be nearly the same.
    assert float(scan.log_probs.detach().std()) > 0.5


def test_places_at_test_are_the_means_whatever_chance_says():
    torch.manual_seed(0)
    system = System(SMALL, 1, 3).eval()
    first, second = (system.scan(images(), copies=1, sampled=False).where for _ in range(2))
    torch.testing.assert_close(first, second)
    assert float(first.std(0).max()) > 0, "the places depend on the image"


def test_looking_where_it_matters_is_learnt():
    """One of two far sides says the class; how bright the image is says which. One glimpse can't see both."""
    torch.manual_seed(0)
    system = System(replace(SMALL, glimpses=2, hidden=32, glimpse=32, copies=4, deviation=0.4), 1, 2)
    optimiser = torch.optim.Adam(system.parameters(), 3e-3)
    generate = torch.Generator().manual_seed(1)

    def sides(count: int) -> Batch:
        label, side, other = (torch.randint(2, (count,), generator=generate) for _ in range(3))
        pixels = (0.2 * side.float()).reshape(-1, 1, 1, 1).expand(-1, 1, 9, 9).clone()
        left, right = torch.where(side == 0, label, other), torch.where(side == 1, label, other)
        pixels[..., :2] += 0.6 * left.reshape(-1, 1, 1, 1)
        pixels[..., -2:] += 0.6 * right.reshape(-1, 1, 1, 1)
        return Batch({"image": pixels}, label)

    for _ in range(500):
        loss = system(sides(64))
        optimiser.zero_grad()
        (loss.total / loss.units).backward()
        optimiser.step()
    system.eval()
    test = sides(200)
    assert float(system(test).terms["error"]) / 200 < 0.1
    # It looks to the side that the brightness points to: a policy that ignores the image would not move with it.
    where = system.scan(test.inputs["image"], copies=1, sampled=False).where[:, 0, 1, 0]
    bright = test.inputs["image"][:, 0, 4, 4] > 0.1
    assert float(where[bright].mean() - where[~bright].mean()) > 0.5


@pytest.mark.parametrize("size", [4, 7])
def test_a_game_gives_its_reward_and_every_step_a_place(size: int):
    torch.manual_seed(0)
    player = Player(GAME, 1, 3)
    games = Catch(np.arange(5), size)
    played = player.play(games, sampled=True)
    assert played.where.shape == (5, size - 1, 2)
    assert played.log_prob_move.shape == (5, size - 1)
    assert played.expected.shape == (5, size)
    np.testing.assert_array_equal(played.reward.numpy(), games.reward())


def test_a_games_parts_learn_from_what_is_theirs():
    torch.manual_seed(0)
    player = Player(GAME, 1, 3)
    quantities = {
        "log_prob_place": {"location"},
        "log_prob_move": {"glimpse", "core", "action"},
        "expected": {"baseline"},
    }
    for quantity, parts in quantities.items():
        player.zero_grad()
        getattr(player.play(Catch(np.arange(5), 6), sampled=True), quantity).sum().backward()
        assert touched(player) == parts


def test_a_game_s_choices_are_measured_against_what_was_known_before_them():
    torch.manual_seed(0)
    player = Player(GAME, 1, 3)
    torch.manual_seed(1)
    player(Catch(np.arange(5), 6)).total.backward()
    torch.manual_seed(1)
    played = player.play(Catch(np.arange(5), 6), sampled=True)
    returns, expected = played.reward.unsqueeze(1), played.expected.detach()
    policies = {
        player.location: -((returns - expected[:, :-1]) * played.log_prob_place).sum(),
        player.action: -((returns - expected[:, 1:]) * played.log_prob_move).sum(),
    }
    for part, policy in policies.items():
        parameters = list(part.parameters())
        gradients = torch.autograd.grad(policy, parameters, retain_graph=True)
        torch.testing.assert_close([parameter.grad for parameter in parameters], list(gradients))


def test_in_a_game_too_what_is_scored_is_the_place_that_was_sampled(monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    player = Player(replace(GAME, deviation=0.9), 1, 3)
    choose, log_prob = player.location.choose, player.location.log_prob
    chosen: list[Tensor] = []
    scored: list[Tensor] = []
    monkeypatch.setattr(player.location, "choose", lambda *given: chosen.append(choose(*given)) or chosen[-1])
    monkeypatch.setattr(player.location, "log_prob", lambda *given: scored.append(given[0]) or log_prob(*given))
    played = player.play(Catch(np.arange(20), 6), sampled=True)
    assert torch.equal(scored[0], torch.stack(chosen, 1))
    assert float(scored[0].abs().max()) > 1
    torch.testing.assert_close(played.where, scored[0].clamp(-1, 1))


def test_a_game_is_learnt_from_its_reward_alone():
    torch.manual_seed(0)
    player = Player(replace(GAME, size=4, hidden=64, sensed=32, glimpse=32), 1, 3)
    optimiser = torch.optim.Adam(player.parameters(), 1e-3)
    for number in range(400):
        loss = player(Catch(np.arange(number * 64, (number + 1) * 64), 5))
        optimiser.zero_grad()
        (loss.total / loss.units).backward()
        nn.utils.clip_grad_norm_(player.parameters(), 1.0)
        optimiser.step()
    player.eval()
    unseen = Catch(np.arange(10**6, 10**6 + 500), 5)
    with torch.inference_mode():
        caught = float(player.play(unseen, sampled=False).reward.mean())
    assert caught > 0.7  # at random it is 0.43


def test_a_game_has_its_own_number_of_glimpses():
    for changes in ({"glimpses": 3}, {"copies": 4}, {"reward": "log-probability"}, {"path": 0.5}):
        with pytest.raises(ValueError, match="glimpses, copies, reward and path"):
            Player(replace(GAME, **changes), 1, 3)
