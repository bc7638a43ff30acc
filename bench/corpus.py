"""The data that every contender gets: the same sentences, the same ids, the same batches."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from attend.data.codec import Codec
from attend.data.corpus import Corpus, plan
from attend.data.files import read_lines, read_pairs

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


def prepare(folder: Path, seed: int) -> tuple[tuple[int, int], list[Lengths]]:
    """Write the folder that peers/protocol.py reads; returns the vocabulary sizes and the lengths in each batch.

    Besides the shared batches it holds what the contenders' own loaders read: the vocabularies, and the training pairs
    as text whose words are the ids. Raises `DataError` if ATTEND_DATA does not lead to Multi30k.
    """
    source_codec, target_codec = (Codec.train(read_lines(path), "bpe", VOCABULARY) for path in TRAIN)
    source_codec.save(folder / "source.codec.json")
    target_codec.save(folder / "target.codec.json")
    train, _ = Corpus.read(TRAIN, source_codec, target_codec, LONGEST)
    test, _ = Corpus.read(TEST, source_codec, target_codec, LONGEST)
    batches = [members for members in plan(train, 0, seed, 0, SENTENCES) if len(members) == SENTENCES]

    def pair(corpus: Corpus, index: int) -> tuple[list[int], list[int]]:
        return corpus.source(index).tolist(), corpus.target(index).tolist()

    sizes = len(source_codec), len(target_codec)
    own = {"paths": TRAIN, "longest": LONGEST, "seed": seed, "sentences": SENTENCES}
    files = {
        "sizes": {"source": sizes[0], "target": sizes[1]},
        "train": [[pair(train, index) for index in members] for members in batches],
        "test": [pair(test, index) for index in range(len(test))],
        "own": own,
    }
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    for side, sentence in (("source", train.source), ("target", train.target)):
        lines = (" ".join(map(str, sentence(index)[:-1])) + "\n" for index in range(len(train)))
        (folder / f"train.{side}").write_text("".join(lines))
    lengths = train.source_lengths, train.target_lengths
    return sizes, [Lengths(lengths[0][members], lengths[1][members]) for members in batches]


def write_beginning(pairs: int, path: Path) -> int:
    """The first so many pairs of the corpus that growth is measured on; returns how many there were."""
    count = 0
    with path.open("w") as file:
        for pair in read_pairs((GROWTH,)):
            if count == pairs:
                break
            file.write(f"{pair.source}\t{pair.target}\n")
            count += 1
    return count
