"""The data that every contender gets: the same sentences, the same ids, the same batches."""

import json
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from attend.data.files import read_lines
from attend.data.own import Files
from attend.fields.text import Text
from attend.outputs.sequence import Decoding
from attend.recipe import Recipe
from attend.recipes import translation
from attend.systems import rnnsearch_modern
from attend.task import Part, Supervised
from attend.training import Training

VOCABULARY = 8000
LONGEST = 100
SENTENCES = 64
TRAIN = tuple(f"multi30k/tok/train.lc.norm.tok.{language}.gz" for language in ("en", "de"))
TEST = tuple(f"multi30k/tok/test_2016_flickr.lc.norm.tok.{language}.gz" for language in ("en", "de"))
GROWTH = "tatoeba/fra-eng.train.tsv.gz"


class Lengths(NamedTuple):
    """Tokens of the sources and of the targets of one batch."""

    source: np.ndarray
    target: np.ndarray


def recipe(train: tuple[str, ...], valid: tuple[str, ...], longest: int, seed: int = 1) -> Recipe:
    """rnnsearch-modern on parallel text, in batches of as many pairs as all contenders get."""
    how = Training(seed=seed, batch=SENTENCES)
    text = Text(vocabulary=VOCABULARY, longest=longest)
    data = Files(train=train, valid=valid)
    settings = translation.settings(rnnsearch_modern.Config(), text, how, Decoding(), data, "none")
    return Recipe("the benchmark's", settings, rnnsearch_modern.System, Supervised)


def multi30k(seed: int) -> Recipe:
    return recipe(TRAIN, TEST, LONGEST, seed)


def silent(remark: str) -> None:
    """Takes what a task has to say of its data."""


def prepare(folder: Path, seed: int) -> tuple[tuple[int, int], list[Lengths]]:
    """Write the folder that peers/protocol.py reads; returns the vocabulary sizes and the lengths in each batch.

    Besides the shared batches it holds what the contenders' own loaders read: the vocabularies, and the training pairs
    as text whose words are the ids. Raises `DataError` if ATTEND_DATA does not lead to Multi30k.
    """
    made_by = multi30k(seed)
    task = Supervised.prepare(made_by, made_by.settings, folder, silent)
    train, test = task.training, task.frozen["valid"]
    batches = [members for members in task.plan(0) if len(members) == SENTENCES]

    def pair(part: Part, index: int) -> tuple[list[int], list[int]]:
        return part.inputs["source"][index].tolist(), part.targets[index].tolist()

    sizes = task.sizes()["source_vocabulary"], task.sizes()["target_vocabulary"]
    files: dict[str, Any] = {
        "sizes": {"source": sizes[0], "target": sizes[1]},
        "train": [[pair(train, index) for index in members] for members in batches],
        "test": [pair(test, index) for index in range(len(test))],
        "own": {"seed": seed, "sentences": SENTENCES},
    }
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    for side, sentences in (("source", train.inputs["source"]), ("target", train.targets)):
        lines = (" ".join(map(str, sentences[index][:-1])) + "\n" for index in range(len(train)))
        (folder / f"train.{side}").write_text("".join(lines))
    lengths = train.inputs["source"].lengths(), train.targets.lengths()
    return sizes, [Lengths(lengths[0][members], lengths[1][members]) for members in batches]


def write_beginning(pairs: int, path: Path) -> int:
    """The first so many pairs of the corpus that growth is measured on; returns how many there were."""
    lines = list(islice(read_lines(GROWTH), pairs))
    path.write_text("".join(f"{line}\n" for line in lines))
    return len(lines)
