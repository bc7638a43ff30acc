"""Neural Turing Machines on the paper's algorithms, with controls that have no memory of their own."""

from dataclasses import replace
from typing import Any

from attend.data.algorithms import Algorithm, Copy, NGrams, Recall, RepeatCopy, Sort
from attend.data.own import Files
from attend.fields.vectors import Vectors
from attend.outputs.bits import Bits, Decoding
from attend.recipe import Recipe, SupervisedSettings, inputs
from attend.systems import ntm
from attend.task import Supervised
from attend.training import Training

PAPER = "Graves, Wayne & Danihelka 2014"
TRAINING = Training(
    epochs=40, batch=16, learning_rate=1e-3, schedule="cosine", watch="loss", clip=10.0, mean_over="examples"
)

# What is learnt all of a sudden, and late, needs the full rate until then.
STEADY = replace(TRAINING, epochs=15, schedule="constant")


def recipe(about: str, data: Any, training: Training = TRAINING, config: Any = None, **more: Any) -> Recipe:
    config = config or ntm.Config()
    system = ntm.System if isinstance(config, ntm.Config) else ntm.Recurrent
    settings: Any = SupervisedSettings(config, inputs(sequence=Vectors()), Bits(), data, training, Decoding())
    return Recipe(about, settings, system, Supervised, PAPER, **more)


def pair(name: str, what: str, data: Algorithm, config: ntm.Config, training: Training = TRAINING) -> dict[str, Recipe]:
    """A recipe for an algorithm, and its control."""
    control = ntm.RecurrentConfig(answer=config.answer)
    return {
        f"ntm-{name}": recipe(what, data, training, config, variant=True),
        f"ntm-{name}-lstm": recipe(f"{what}: an LSTM without a memory", data, training, control, control=True),
    }


RECIPES = {
    "ntm": recipe("reads and writes a memory, for your own sequences of bits", Files(), replace(TRAINING, epochs=60)),
    **pair("copy", "copying", Copy(longest=10), ntm.Config(slots=64)),
    **pair("repeat-copy", "copying several times", RepeatCopy(), ntm.Config()),
    **pair("recall", "associative recall", Recall(), ntm.Config(controller="feedforward", hidden=256), STEADY),
    **pair("ngram", "6-grams", NGrams(), ntm.Config(answer="during")),
    **pair("sort", "sorting by priority", Sort(), ntm.Config(hidden=100, layers=2, read_heads=5, write_heads=5)),
    "ntm-copy-past": recipe(
        "copying: an LSTM that attends to its past inputs",
        Copy(longest=10),
        TRAINING,
        ntm.RecurrentConfig(past=True),
        control=True,
    ),
}
