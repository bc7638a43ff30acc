"""A small training on text, as a program of its own, so that it can be killed or run in several processes.

python toy_run.py FOLDER [resume]; SLOW in the environment waits after each update.
"""

import os
import random
import sys
import time
from dataclasses import replace
from pathlib import Path

from attend.recipes.recipe import Settings
from attend.systems import rnnsearch_modern
from attend.tasks.text import Decoding, TextData, TextToText
from attend.training import Progress, Training, leave_processes, train

# Dropout and several accumulated batches, so that a run depends on everything a checkpoint must hold.
SETTINGS = Settings(
    rnnsearch_modern.Config(embedding=12, hidden=12, alignment=12),
    TextData(unit="character", vocabulary=100, batch_sentences=8),
    Training(epochs=3, learning_rate=5e-3, average=0.9, accumulate=2, save_minutes=0.0),
    Decoding(beam=1),
)
ALONE = replace(SETTINGS.system, embedding_dropout=0.0, annotation_dropout=0.0, readout_dropout=0.0)


def write_data(folder: Path) -> TextData:
    """Words to be spelt backwards."""
    choose = random.Random(3)
    lines = ["".join(choose.choices("abcdef", k=choose.randint(2, 6))) for _ in range(100)]
    path = folder / "pairs.tsv"
    if not path.exists():
        path.write_text("".join(f"{line}\t{line[::-1]}\n" for line in lines))
    return replace(SETTINGS.data, train=(str(path),), valid=(str(path),))


def toy(folder: Path, resume: bool, training: Training, config: rnnsearch_modern.Config, wait: float = 0.0) -> Progress:
    data = write_data(folder)

    def build(source: int, target: int) -> rnnsearch_modern.System:
        return rnnsearch_modern.System(config, source, target)

    def report(progress: Progress, figures: dict[str, float]) -> None:
        time.sleep(wait)

    if resume:
        task = TextToText.open(build, data, training.seed, folder)
        task.read(print)
    else:
        task = TextToText.prepare(build, data, training.seed, folder, print)
    return train(task, training, folder, resume, report)


if __name__ == "__main__":
    several = "WORLD_SIZE" in os.environ
    # What is dropped differs between processes, so they are compared without dropout.
    config = ALONE if several else SETTINGS.system
    try:
        toy(Path(sys.argv[1]), "resume" in sys.argv, SETTINGS.training, config, float(os.environ.get("SLOW", "0")))
    finally:
        leave_processes()
    if several:
        threads = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
        assert not any("gloo" in name for name in threads), f"threads of the group of processes are left: {threads}"
