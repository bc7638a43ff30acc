"""A small training on text, as a program of its own, so that it can be killed or run in several processes.

python toy_run.py FOLDER [resume]; SLOW in the environment waits after each update.
"""

import os
import random
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from attend.data.own import Files
from attend.fields.text import Text
from attend.outputs.sequence import Decoding, Sequence
from attend.recipe import Recipe, SupervisedSettings, inputs
from attend.systems import rnnsearch_modern
from attend.task import Supervised
from attend.training import Progress, Training, leave_processes, train

SYSTEM = rnnsearch_modern.Config(embedding=12, hidden=12, alignment=12)
ALONE = replace(SYSTEM, embedding_dropout=0.0, annotation_dropout=0.0, readout_dropout=0.0)
# Dropout and several accumulated batches, so that a run depends on everything a checkpoint must hold.
TRAINING = Training(epochs=3, batch=8, learning_rate=5e-3, average=0.9, accumulate=2, save_minutes=0.0)


def recipe(folder: Path, config: rnnsearch_modern.Config) -> Recipe:
    """Words to be spelt backwards."""
    choose = random.Random(3)
    lines = ["".join(choose.choices("abcdef", k=choose.randint(2, 6))) for _ in range(100)]
    path = folder / "pairs.tsv"
    if not path.exists():
        path.write_text("".join(f"{line}\t{line[::-1]}\n" for line in lines))
    data = Files(train=(str(path),), valid=(str(path),))
    source, target = inputs(source=Text("character", 100)), Sequence("character", 100)
    settings: Any = SupervisedSettings(config, source, target, data, TRAINING, Decoding(beam=1))
    return Recipe("backwards", settings, rnnsearch_modern.System, Supervised)


def toy(folder: Path, resume: bool, config: rnnsearch_modern.Config = SYSTEM, wait: float = 0.0) -> Progress:
    made_by = recipe(folder, config)

    def report(progress: Progress, figures: dict[str, float]) -> None:
        time.sleep(wait)

    if resume:
        task = Supervised.open(made_by, made_by.settings, folder)
        task.read(print)
    else:
        task = Supervised.prepare(made_by, made_by.settings, folder, print)
    return train(task, TRAINING, folder, resume, report)


if __name__ == "__main__":
    several = "WORLD_SIZE" in os.environ
    # What is dropped differs between processes, so they are compared without dropout.
    try:
        toy(Path(sys.argv[1]), "resume" in sys.argv, ALONE if several else SYSTEM, float(os.environ.get("SLOW", "0")))
    finally:
        leave_processes()
    if several:
        threads = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
        assert not any("gloo" in name for name in threads), f"threads of the group of processes are left: {threads}"
