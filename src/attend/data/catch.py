"""Catch: a ball falls, and a paddle must catch it.

The game of Mnih et al. 2014 (section 4.2), on a grid of any size: a ball of one pixel falls a row a frame at an angle,
bounces off the walls, and a paddle of two pixels on the bottom row moves left, stays, or moves right. The reward comes
with the last frame: 1 if the ball falls onto the paddle, else 0.

Many games are played in parallel. A game is a function of its seed alone.
"""

import numpy as np
from jaxtyping import Float, Int

LEFT, STAY, RIGHT = 0, 1, 2
MOVES = 3
PADDLE = 2


class Catch:
    """Parallel games: `frame`, `act`, and after `frames` - 1 acts `reward`."""

    def __init__(self, seeds: Int[np.ndarray, "game"], size: int) -> None:
        """Raises `ValueError` if a grid of `size` x `size` has no room to play."""
        if size < 4:
            raise ValueError(f"size must be at least 4, not {size}: there would be no room to move")
        self.size = self.frames = size  # the ball falls a row a frame
        # A generator for each game would cost more than the game.
        words = mix(np.asarray(seeds, dtype=np.uint64))
        self.ball = (words[:, 0] % size).astype(np.float64)
        # Columns per row: slow enough to be followed, fast enough to bounce.
        self.drift = 2 * (words[:, 1] % 1000) / 999 - 1
        self.paddle = (words[:, 2] % (size - PADDLE + 1)).astype(np.int64)
        self.row = 0

    def __len__(self) -> int:
        return len(self.ball)

    def column(self) -> Int[np.ndarray, "game"]:
        """The balls' columns."""
        return np.rint(self.ball).astype(np.int64)

    def frame(self) -> Float[np.ndarray, "game 1 size size"]:
        """The current frames: 1 where the ball or the paddle is, else 0."""
        games = np.arange(len(self))
        seen = np.zeros((len(self), 1, self.size, self.size), dtype=np.float32)
        for part in range(PADDLE):
            seen[games, 0, -1, self.paddle + part] = 1
        seen[games, 0, self.row, self.column()] = 1
        return seen

    def act(self, moves: Int[np.ndarray, "game"]) -> None:
        """Move the paddles (LEFT, STAY or RIGHT), then let the balls fall a row. Raises `ValueError` after the end."""
        if self.row == self.size - 1:
            raise ValueError("the games are over: begin new ones")
        self.paddle = np.clip(self.paddle + moves - STAY, 0, self.size - PADDLE)
        moved = self.ball + self.drift
        last = self.size - 1
        bounced = (moved < 0) | (moved > last)
        self.ball = np.where(moved < 0, -moved, np.where(moved > last, 2 * last - moved, moved))
        self.drift = np.where(bounced, -self.drift, self.drift)
        self.row += 1

    def reward(self) -> Float[np.ndarray, "game"]:
        """1 where the ball is on the paddle, else 0. Raises `ValueError` before the end."""
        if self.row < self.size - 1:
            raise ValueError("the games are not over yet")
        column = self.column()
        return ((column >= self.paddle) & (column < self.paddle + PADDLE)).astype(np.float32)


def mix(seeds: np.ndarray) -> Int[np.ndarray, "game word"]:
    """Three pseudo-random words from each seed (the finaliser of SplitMix64, Steele et al. 2014)."""
    words = []
    with np.errstate(over="ignore"):
        for number in range(1, 4):
            word = seeds * np.uint64(3) + np.uint64(number)
            word = word * np.uint64(0x9E3779B97F4A7C15)
            word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            words.append((word ^ (word >> np.uint64(31))) >> np.uint64(11))
    return np.stack(words, axis=1).astype(np.int64)
