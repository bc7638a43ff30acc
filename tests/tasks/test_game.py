"""Catch as a task: what is measured of games, with a player made by hand."""

from typing import Any

import numpy as np
import torch
from torch import nn

from attend.data.catch import Catch
from attend.systems.ram import Played
from attend.tasks.game import CatchGames, CatchTask, path_of_ball

SIZE = 8


class Follower(nn.Module):
    """Looks so many columns to the right of the ball, and stays where it is."""

    def __init__(self, beside: int) -> None:
        super().__init__()
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


def audited(beside: int) -> dict[str, float]:
    task = CatchTask(lambda *sizes: Follower(beside), CatchGames(size=SIZE, measured=300), seed=1)
    return task.evaluate(task.build(), "valid").figures


def test_a_ball_is_seen_within_the_finest_patch():
    assert audited(0)["glimpses_on_object"] == 1
    assert audited(2)["glimpses_on_object"] == 1
    assert audited(3)["glimpses_on_object"] == 0


def test_the_audit_has_the_doubt_of_each_move():
    figures = audited(0)
    assert [figures[f"move_entropy_step_{step}"] for step in range(1, SIZE)] == [0.5] * (SIZE - 1)
    assert figures["places_spread_over_games"] > 0.3


def test_the_path_of_the_ball_is_that_of_the_pixel():
    games = Catch(np.arange(40), SIZE)
    path = path_of_ball(Catch(np.arange(40), SIZE))
    for step in range(SIZE - 1):
        frame = games.frame()[:, 0]
        column, row = path[:, step].T
        assert (frame[np.arange(40), row, column] == 1).all()
        assert (row == step).all()
        games.act(np.arange(40) % 3)
