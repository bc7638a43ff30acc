"""Catch as a task: what is measured of games, with a player made by hand."""

from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from attend.contract import StoredTask
from attend.data.catch import Catch
from attend.recipe import Recipe, Settings
from attend.systems.ram import Played
from attend.tasks.game import CatchGames, Decoding, Game, PlayerModel, caught_at_random, path_of_ball
from attend.training import Training

SIZE = 8


class Follower(nn.Module):
    """Looks so many columns to the right of the ball, and stays where it is."""

    def __init__(self, beside: int, channels: int, actions: int) -> None:
        super().__init__()
        assert (channels, actions) == (1, 3)
        self.beside = beside

    def play(self, games: Any, sampled: bool) -> Played:
        assert not sampled, "measured at the mean places, with the likeliest moves"
        places = []
        for _ in range(games.frames - 1):
            place = np.stack([games.column() + self.beside, np.full(len(games), games.row)], axis=-1)
            places.append(torch.from_numpy((2 * place + 1) / SIZE - 1))
            games.act(np.ones(len(games), dtype=np.int64))
        where = torch.stack(places, 1)
        none = torch.zeros(where.shape[:2])
        reward = torch.from_numpy(games.reward())
        return Played(where, none, none, none + 0.5, none, reward, patch=4)


def task_of(beside: int = 0, seed: int = 1, **data: Any) -> Game:
    games = CatchGames(size=SIZE, **{"measured": 300, "games": 500, **data})
    settings: Any = Settings(beside, games, Training(seed=seed, batch=200), Decoding())
    recipe = Recipe("games", settings, Follower, Game)
    return Game.prepare(recipe, settings, Path(), lambda line: None)


def audited(beside: int) -> dict[str, float]:
    task = task_of(beside)
    return task.evaluate(task.build(), "valid").figures


def test_a_ball_is_seen_within_the_finest_patch():
    assert audited(0)["pointing_accuracy"] == 1
    assert audited(2)["pointing_accuracy"] == 1
    assert audited(3)["pointing_accuracy"] == 0


def test_the_audit_has_the_doubt_of_each_move():
    figures = audited(0)
    assert [figures[f"move_entropy_step_{step}"] for step in range(1, SIZE)] == [0.5] * (SIZE - 1)
    assert figures["fixation_deviation"] > 0.3


def test_who_stays_catches_what_falls_on_it():
    task = task_of()
    found = task.evaluate(task.build(), "test")
    assert found.figures["caught"] == pytest.approx(found.outputs.count("caught") / 300)
    assert 0.1 < found.figures["caught"] < 0.5
    games = Catch(np.array(task.measured("test")), SIZE)
    assert found.figures["baseline_chance"] == caught_at_random(games, 1)
    assert task.measure(task.build()) == {"caught": task.evaluate(task.build(), "valid").figures["caught"]}


def test_games_of_an_epoch_are_others_and_none_that_are_measured_on():
    task, other = task_of(), task_of(seed=2)
    assert isinstance(task, StoredTask)
    first, second = (list(chain(*task.plan(epoch))) for epoch in range(2))
    assert [len(batch) for batch in task.plan(0)] == [200, 200, 100]
    assert task.plan(0) == task_of().plan(0)
    measured = {*task.measured("valid"), *task.measured("test")}
    assert len(measured) == 600
    assert not set(first) & set(second)
    assert not set(first) & set(chain(*other.plan(0)))
    assert not measured & {*first, *second}
    one, same = (task.batch(0, first[:3]).frame() for _ in range(2))
    np.testing.assert_array_equal(one, same)
    assert Game.kept(task.settings) == ()
    with pytest.raises(ValueError, match="games"):
        replace(task.data, games=100_001)


def test_a_player_is_measured_on_games_that_no_training_comes_to():
    task = task_of()
    config = SimpleNamespace(recipe="games")
    model = PlayerModel(config, task, [task.build()])
    assert len(model.evaluate("test").outputs) == 300
    with pytest.raises(ValueError, match="'valid' or 'test'"):
        model.evaluate("train")
    with pytest.raises(ValueError, match="games is one run"):
        PlayerModel(config, task, [task.build()] * 2)


def test_the_path_of_the_ball_is_that_of_the_pixel():
    games = Catch(np.arange(40), SIZE)
    path = path_of_ball(Catch(np.arange(40), SIZE))
    for step in range(SIZE - 1):
        frame = games.frame()[:, 0]
        column, row = path[:, step].T
        assert (frame[np.arange(40), row, column] == 1).all()
        assert (row == step).all()
        games.act(np.arange(40) % 3)
