"""Games: joins a player to games that are made as they are needed, as many as an epoch is to have."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Int
from torch import nn

from attend.contract import Evaluation, Games, Split
from attend.data.catch import MOVES, STAY, Catch
from attend.inspect.glimpses import spread_over_images
from attend.progress import Tell
from attend.settings import check_range
from attend.tasks.single import SingleModel

USE = """```
attend evaluate {folder}
```

```python
import attend

model = attend.load({string})
print(model.evaluate("valid").figures)
```"""

# Seeds of games: those of an epoch, and those that are measured on, which no epoch ever comes to. (There are only so
# many different games: on a small grid long training comes to nearly all of them by other seeds.)
MEASURED: dict[Split, int] = {"valid": 1 << 40, "test": 1 << 41}


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
    batch: int = 128
    """Games played side by side, to an update."""

    def __post_init__(self) -> None:
        check_range(self, "size", 4)
        check_range(self, "measured batch", 1)
        check_range(self, "games", 1, 100_000)  # more would come to those that are measured on


@dataclass(frozen=True)
class Playing:
    """How games are played: the likeliest move and the mean place."""


class CatchTask:
    """The task: a system learns from games that it plays, and is measured on games of other seeds."""

    measures: tuple[str, ...] = ("caught",)
    unit: ClassVar[str] = "games"
    kept: ClassVar[tuple[str, ...]] = ()
    use: ClassVar[str] = USE

    def __init__(self, build: Callable[..., nn.Module], data: CatchGames, seed: int) -> None:
        self._build, self.data, self.seed = build, data, seed

    @classmethod
    def prepare(
        cls, build: Callable[..., nn.Module], data: CatchGames, seed: int, folder: Path, log: Callable[[str], None]
    ) -> "CatchTask":
        task = cls(build, data, seed)
        task.read(log)
        return task

    @classmethod
    def open(cls, build: Callable[..., nn.Module], data: CatchGames, seed: int, folder: Path) -> "CatchTask":
        return cls(build, data, seed)

    def read(self, log: Callable[[str], None]) -> None:
        chance = caught_at_random(self.games(self.measured("valid")), self.seed)
        size = self.data.size
        log(f"{self.data.games:,} games an epoch, on {size} x {size}; at random {chance:.1%} are caught")

    def counts(self) -> dict[str, int]:
        return {"games an epoch": self.data.games, "games measured": self.data.measured}

    def files(self, split: Literal["train", "valid", "test"]) -> tuple[str, ...]:
        return (f"catch {self.data.size} x {self.data.size} ({split})",)

    def model(self, config: Any, systems: Sequence[nn.Module]) -> "PlayerModel":
        return PlayerModel(config, self, systems)

    def build(self) -> nn.Module:
        return self._build(1, MOVES)

    def games(self, seeds: Sequence[int]) -> Catch:
        return Catch(np.array(seeds), self.data.size)

    def measured(self, split: Split) -> Sequence[int]:
        return range(MEASURED[split], MEASURED[split] + self.data.measured)

    def plan(self, epoch: int) -> list[list[int]]:
        # Runs of other seeds play other games.
        first = (self.seed % 1000 * 10_000 + epoch) * self.data.games
        seeds = range(first, first + self.data.games)
        return [list(seeds[start : start + self.data.batch]) for start in range(0, len(seeds), self.data.batch)]

    def batch(self, indices: Sequence[int]) -> Games:
        return self.games(indices)

    def validation(self) -> Iterator[Games]:
        yield self.games(self.measured("valid"))

    def measure(self, system: nn.Module) -> dict[str, float]:
        return {"caught": self.evaluate(system, "valid").figures["caught"]}

    def evaluate(self, system: Any, split: Split) -> Evaluation:
        """The share of balls that are caught, with the likeliest moves and mean places; beside it, that at random.

        And the audit: how far a step's places lie apart in different games, the share of glimpses whose finest patch
        has the ball in it, and how undecided each move is, in nats.
        """
        games = self.games(self.measured(split))
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(0)  # for controls that look at random places
            played = system.play(games, sampled=False)
        places = played.where.cpu().numpy()
        spread = spread_over_images(places)
        size = self.data.size
        ball = (2 * path_of_ball(self.games(self.measured(split))) + 1) / size - 1
        seen = (np.abs(places - ball) <= played.patch / size).all(-1)
        figures = {
            "caught": float(played.reward.mean()),
            "caught_at_random": caught_at_random(self.games(self.measured(split)), self.seed),
            "places_spread_over_games": float(spread.mean()),
            "glimpses_on_object": float(seen.mean()),
        }
        undecided = played.entropy.mean(0).tolist()
        figures |= {f"move_entropy_step_{step}": value for step, value in enumerate(undecided, start=1)}
        outputs = ["caught" if caught else "missed" for caught in played.reward.tolist()]
        return Evaluation(outputs, figures, ["caught"] * len(outputs))


class PlayerModel(SingleModel[CatchTask]):
    """A trained player. Get one from `attend.load`."""

    def evaluate(self, split: Split, report: Tell | None = None) -> Evaluation:
        """As in `attend.contract.Model`."""
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
    """The share that moves at random catch."""
    choose = np.random.default_rng([seed])
    for _ in range(games.frames - 1):
        games.act(choose.integers(MOVES, size=len(games)))
    return float(games.reward().mean())
