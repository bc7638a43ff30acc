"""Games: joins a player to games that are generated as they are needed, as many as an epoch is to have."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import nn

from attend.contract import Direction, Evaluation, Games, Split
from attend.data.catch import MOVES, STAY, Catch
from attend.inspect.glimpses import deviation_over_images
from attend.metrics import share_interval
from attend.progress import Tell
from attend.recipe import Recipe, Settings
from attend.settings import check_range

# Seeds of games: those of an epoch, and those that are measured on, which no epoch ever comes to. (There are only so
# many different games: on a small grid long training comes to nearly all of them by other seeds.)
MEASURED: Mapping[str, int] = {"valid": 1 << 40, "test": 1 << 41}


@dataclass(frozen=True)
class CatchGames:
    """Games of Catch."""

    name: str = "catch"
    """What the data is called in results and model cards."""
    size: int = 12
    """Rows and columns of the grid (the paper's is 24)."""
    games: int = 25_600
    """Games to an epoch, each another one."""
    measured: int = 2_000
    """Games that are measured on, always the same ones."""

    def __post_init__(self) -> None:
        check_range(self, "size", 4)
        check_range(self, "measured", 1)
        check_range(self, "games", 1, 100_000)  # more would come to those that are measured on

    def reads(self) -> tuple[str, ...]:
        return ()

    def files(self, split: Split) -> tuple[str, ...]:
        return (f"catch {self.size} x {self.size} ({split})",)


@dataclass(frozen=True)
class Decoding:
    """How games are played: the likeliest move and the mean place. There is nothing to choose."""


class Game:
    """The task: a system learns from games that it plays, and is measured on games of other seeds."""

    unit = "games"
    measures: Mapping[str, Direction] = {"caught": "higher"}

    def __init__(self, recipe: Recipe, settings: Settings[Any, Any, Any]) -> None:
        self.recipe, self.settings = recipe, settings
        self.data: CatchGames = settings.data
        self.seed = settings.training.seed

    @classmethod
    def prepare(
        cls,
        recipe: Recipe,
        settings: Settings[Any, Any, Any],
        folder: Path,
        log: Callable[[str], None],
        learnt: Path | None = None,
    ) -> "Game":
        task = cls(recipe, settings)
        task.read(log)
        return task

    @classmethod
    def open(cls, recipe: Recipe, settings: Settings[Any, Any, Any], folder: Path) -> "Game":
        return cls(recipe, settings)

    @staticmethod
    def kept(settings: Any) -> tuple[str, ...]:
        return ()

    def read(self, log: Callable[[str], None]) -> None:
        chance = caught_at_random(self.games(self.measured("valid")), self.seed)
        size = self.data.size
        log(f"{self.data.games:,} games an epoch, on {size} x {size}; random moves catch {chance:.1%}")

    def counts(self) -> dict[str, int]:
        return {"games an epoch": self.data.games, "games measured": self.data.measured}

    def files(self, split: Split) -> tuple[str, ...]:
        return self.data.files(split)

    def build(self) -> nn.Module:
        return self.recipe.construct(self.settings.system, {"channels": 1, "actions": MOVES})

    def games(self, seeds: Sequence[int]) -> Catch:
        return Catch(np.array(seeds), self.data.size)

    def measured(self, split: Split) -> Sequence[int]:
        return range(MEASURED[split], MEASURED[split] + self.data.measured)

    def plan(self, epoch: int) -> list[list[int]]:
        # Runs of other seeds play other games.
        first = (self.seed % 1000 * 10_000 + epoch) * self.data.games
        seeds, size = range(first, first + self.data.games), self.settings.training.batch
        return [list(seeds[start : start + size]) for start in range(0, len(seeds), size)]

    def batch(self, epoch: int, indices: Sequence[int]) -> Games:
        return self.games(indices)

    def validation(self) -> Iterator[Games]:
        yield self.games(self.measured("valid"))

    def measure(self, system: nn.Module) -> dict[str, float]:
        return {"caught": self.evaluate(system, "valid").figures["caught"]}

    def evaluate(self, system: Any, split: Split) -> Evaluation:
        """The share of balls that are caught, with the likeliest moves and mean places; and that of random moves.

        And the audit: the standard deviation of a step's fixation across games, the share of glimpses whose finest
        patch has the ball in it, and the entropy of each move, in nats.
        """
        games = self.games(self.measured(split))
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(0)  # for controls that look at random places
            played = system.play(games, sampled=False)
        places = played.where.cpu().numpy()
        size = self.data.size
        ball = (2 * path_of_ball(self.games(self.measured(split))) + 1) / size - 1
        seen = (np.abs(places - ball) <= played.patch / size).all(-1)
        figures = {
            "caught": float(played.reward.mean()),
            "baseline_chance": caught_at_random(self.games(self.measured(split)), self.seed),
            "fixation_deviation": float(deviation_over_images(places).mean()),
            "pointing_accuracy": float(seen.mean()),
        }
        undecided = played.entropy.mean(0).tolist()
        figures |= {f"move_entropy_step_{step}": value for step, value in enumerate(undecided, start=1)}
        outputs = ["caught" if caught else "missed" for caught in played.reward.tolist()]
        lower, upper = share_interval(figures["caught"], len(outputs))
        remarks = []
        if lower <= figures["baseline_chance"]:
            remarks.append(f"no better than random moves: the 95% interval of caught is {lower:.3f} to {upper:.3f}")
        intervals = {"caught": (lower, upper)}
        return Evaluation(outputs, figures, ["caught"] * len(outputs), intervals=intervals, remarks=remarks)


class PlayerModel:
    """A trained player. Get one from `attend.load`."""

    def __init__(self, config: Any, task: Game, systems: Sequence[nn.Module]) -> None:
        if len(systems) > 1:
            raise ValueError(f"a player of {config.recipe} is one run: games have no ensembles")
        self.config, self.task, self.systems = config, task, list(systems)

    def evaluate(self, split: Split = "valid", report: Tell | None = None) -> Evaluation:
        """Measure on games that no training comes to."""
        if split == "train":
            raise ValueError("games are measured on 'valid' or 'test'")
        return self.task.evaluate(self.systems[0], split)


def path_of_ball(games: Catch) -> Int[np.ndarray, "game step 2"]:
    """Column and row of the ball, from 0, in each frame that is looked at. Plays the games: nothing moves a ball."""
    path = []
    for _ in range(games.frames - 1):
        column = games.column()
        path.append(np.stack([column, np.full_like(column, games.row)], axis=-1))
        games.act(np.full_like(column, STAY))
    return np.stack(path, axis=1)


def caught_at_random(games: Catch, seed: int) -> float:
    """The share that random moves catch."""
    choose = np.random.default_rng([seed])
    for _ in range(games.frames - 1):
        games.act(choose.integers(MOVES, size=len(games)))
    return float(games.reward().mean())
