"""How time and memory grow with the length of sentences and with the size of a corpus."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from corpus import write_beginning
from worker import Worker, surroundings


class Cost(NamedTuple):
    """What one size took: `memory_mb` is the process's peak for lengths, and what reading added for corpora."""

    size: int
    seconds: float
    memory_mb: float


def with_length(name: str, folder: Path, lengths: Sequence[int], sentences: int) -> list[Cost]:
    """One update on `sentences` pairs of each length, in a process of its own; lengths must grow, as its peak does."""
    worker = Worker(name, Path(sys.executable), folder)
    worker.ask("train length", length=lengths[0], sentences=sentences)
    costs = []
    for length in lengths:
        reply = worker.ask("train length", length=length, sentences=sentences)
        costs.append(Cost(length, reply["seconds"], reply["peak_mb"]))
    worker.close()
    return costs


def with_corpus(folder: Path, sizes: Sequence[int]) -> list[Cost]:
    """Reading and encoding the first so many pairs of a corpus, each in a process of its own.

    `folder` holds vocabularies.
    """
    script = Path(__file__).parent / "peers" / "reading.py"
    costs = []
    for size in sizes:
        path = folder / "growth.tsv"
        pairs = write_beginning(size, path)
        done = subprocess.run(
            [sys.executable, str(script), str(folder), str(path)],
            env=surroundings(),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        _, seconds, memory = done.stdout.split()
        costs.append(Cost(pairs, float(seconds), float(memory)))
    return costs
