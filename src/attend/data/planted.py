"""A generated set that shows what attention is for: one word of a long text decides its class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attend.data.examples import TARGET, Column, Fixed, Kept, Log, Row, Split, Truth, check_columns
from attend.settings import check_range

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
MARK = "key"


@dataclass(frozen=True)
class PlantedKey:
    """Random digits as words, in one place `key`; the class is the digit after it:

        four one nine key two zero two seven ...     -> two

    What digits there are says next to nothing of the class, nor does any place: only what follows `key` does. Rows have
    a `text`, the `target`, and where the key is in the text.
    """

    name: str = "planted-key"
    """What the data is called in results and model cards."""
    distractors: int = 200
    """Digits besides the key."""
    train: int = 4_000
    """Training texts."""
    valid: int = 1_000
    """Validation texts."""
    seed: int = 1
    """Seed of the texts, independent of the run's."""

    def __post_init__(self) -> None:
        check_range(self, "distractors train valid", 1)

    def open(self, columns: Sequence[Column], seed: int, log: Log) -> Fixed:
        check_columns(columns, ("text", TARGET), "planted keys")
        rng = np.random.default_rng([self.seed])
        counts: dict[Split, int] = {"train": self.train, "valid": self.valid}
        return Kept({part: [self.row(rng, number) for number in range(count)] for part, count in counts.items()})

    def row(self, rng: np.random.Generator, number: int) -> Row:
        words = [DIGITS[digit] for digit in rng.integers(10, size=self.distractors + 1)]
        place = int(rng.integers(len(words)))
        before = "".join(f"{word} " for word in words[:place])
        key = f"{MARK} {words[place]}"
        text = before + " ".join([key, *words[place + 1 :]])
        truth = Truth("text", (len(before), len(before) + len(key)))
        return Row({"text": text, TARGET: words[place]}, f"text {number + 1}", truth=(truth,))

    def reads(self) -> tuple[str, ...]:
        return ()

    def files(self, split: Split) -> tuple[str, ...]:
        return (f"generated texts with a planted key ({split})",)
