"""Entailment: does a premise entail a hypothesis, contradict it, or neither? With its controls, and for your own pairs.

The recipes for small data train on three sets together: SICK, MPE (with its four premises concatenated) and SNLI's
development part. A tenth of each, by premise, is held out for validation. Figures are on these held-out parts, not on
the official test parts; nor are they comparable with the paper's, which is trained on all of SNLI.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from attend.data.examples import TARGET, Column, Fixed, Log, Row, Split
from attend.data.files import DataError
from attend.data.own import Files
from attend.data.tables import scan
from attend.fields.text import Text
from attend.outputs.classes import Classes, Decoding
from attend.recipe import Recipe, SupervisedSettings, inputs
from attend.systems import entailment
from attend.task import Supervised
from attend.training import Training

PAPER = "Rocktäschel et al. 2015"
PREMISES = ("premise1", "premise2", "premise3", "premise4")
HELD_OUT = 10
"""One premise in this many is held out."""

# File, in the folder that ATTEND_DATA names, and the columns that hold premise, hypothesis and judgement.
SICK = ("sentence_A",), "sentence_B", "entailment_judgment"
MPE = PREMISES, "hypothesis", "gold_label"
SNLI = ("premise",), "hypothesis", "label"
OFFICIAL = ("sentence1",), "sentence2", "gold_label"
SETS = {
    "sick": (("sick/SICK_train.txt.gz", SICK), ("sick/SICK_trial.txt.gz", SICK)),
    "mpe": (("mpe/mpe_train.txt.gz", MPE), ("mpe/mpe_dev.txt.gz", MPE)),
    "snli-dev": (("snli/snli_dev.jsonl.gz", SNLI),),
}


def judged(
    path: str, columns: tuple[Sequence[str], str, str], group: str = "", log: Log | None = None
) -> Iterator[Row]:
    """The pairs of a file on which annotators agreed: without SNLI's judgement "-".

    A malformed line, of which MPE's development part has one, is left out and logged.
    """
    premises, hypothesis, judgement = columns
    for row in scan((path,), [Column(name) for name in (*premises, hypothesis, judgement)]):
        if isinstance(row, DataError):
            if row.line is None:
                raise row
            if log:
                log(f"left out: {row}")
            continue
        # MPE's premises are captions, each prefixed with the name of its image.
        parts = [row.values[name].rpartition("/")[2] if len(premises) > 1 else row.values[name] for name in premises]
        label = row.values[judgement].lower()
        if label != "-":
            pair = {"premise": " ".join(parts), "hypothesis": row.values[hypothesis], TARGET: label}
            yield Row(pair, f"{path}, {row.name}", row.line, group=group)


@dataclass(frozen=True)
class SmallSets:
    """SICK, MPE and SNLI's development part, from the folder that ATTEND_DATA names."""

    name: str = "sick mpe snli-dev"
    """What the data is called in results and model cards."""
    sets: tuple[str, ...] = ("sick", "mpe", "snli-dev")
    """Which of the three sets."""

    splits: tuple[Split, ...] = ("train", "valid")

    def open(self, columns: Sequence[Column], seed: int, log: Log) -> Fixed:
        for group in self.sets:
            for path, where in SETS[group]:
                for _ in judged(path, where, log=log):
                    pass
        return self

    def rows(self, split: Split) -> Iterator[Row]:
        for group in self.sets:
            for path, where in SETS[group]:
                for row in judged(path, where, group):
                    held_out = blake2b(row.values["premise"].encode(), digest_size=8).digest()[0] % HELD_OUT == 0
                    if held_out == (split == "valid"):
                        yield row

    def reads(self) -> tuple[str, ...]:
        return tuple(path for group in self.sets for path, _ in SETS[group])

    def files(self, split: Split) -> tuple[str, ...]:
        return tuple(f"{path} ({split})" for path in self.reads())


@dataclass(frozen=True)
class Snli:
    """The whole of SNLI as it is distributed, from the folder that ATTEND_DATA names."""

    name: str = "snli"
    """What the data is called in results and model cards."""
    folder: str = "snli_1.0"
    """The folder that holds snli_1.0_train.jsonl, snli_1.0_dev.jsonl and snli_1.0_test.jsonl."""

    splits: tuple[Split, ...] = ("train", "valid", "test")

    def open(self, columns: Sequence[Column], seed: int, log: Log) -> Fixed:
        return self

    def rows(self, split: Split) -> Iterator[Row]:
        return judged(self.files(split)[0], OFFICIAL)

    def reads(self) -> tuple[str, ...]:
        return (*self.files("train"), *self.files("valid"))

    def files(self, split: Split) -> tuple[str, ...]:
        return (f"{self.folder}/snli_1.0_{'dev' if split == 'valid' else split}.jsonl",)


WORDS = Text("word", 20_000, 120, tidy=True)
TRAINING = Training(epochs=8, batch=64, learning_rate=1e-3, schedule="cosine", watch="accuracy", clip=5.0)
SMALL = entailment.Config(embedding=100)


def recipe(about: str, config: entailment.Config, data: Any, training: Training = TRAINING, **more: Any) -> Recipe:
    read_as = inputs(premise=WORDS, hypothesis=replace(WORDS, like="premise"))
    settings: Any = SupervisedSettings(config, read_as, Classes(), data, training, Decoding())
    return Recipe(about, settings, entailment.System, Supervised, PAPER, **more)


RECIPES = {
    "entailment": recipe(
        "word-by-word attention to the premise, for your own pairs",
        SMALL,
        Files(),
        replace(TRAINING, epochs=20),
    ),
    "entailment-snli": recipe(
        "the paper's sizes, on all of SNLI (if you have it): for a GPU, or hours on a CPU",
        entailment.Config(),
        Snli(),
        replace(TRAINING, epochs=10, batch=128),
        variant=True,
    ),
    "entailment-word-by-word": recipe(
        "word-by-word attention, on SICK, MPE and SNLI's development part", SMALL, SmallSets(), variant=True
    ),
    "entailment-two-way": recipe(
        "word-by-word attention in both directions", replace(SMALL, two_way=True), SmallSets(), variant=True
    ),
    "entailment-attention": recipe(
        "attention to the premise once, at the end of the hypothesis",
        replace(SMALL, attention="attention"),
        SmallSets(),
        variant=True,
    ),
    "entailment-conditional": recipe(
        "conditional encoding: the premise's last state alone",
        replace(SMALL, attention="none"),
        SmallSets(),
        control=True,
    ),
    "entailment-hypothesis": recipe(
        "the hypothesis alone", replace(SMALL, attention="hypothesis"), SmallSets(), control=True
    ),
}
