"""Questions about stories: memory networks on bAbI, with controls, and for your own stories."""

from dataclasses import replace
from typing import Any

from attend.data.babi import Babi
from attend.data.own import Files
from attend.fields.story import Story
from attend.fields.text import Text
from attend.outputs.classes import Classes, Decoding
from attend.recipe import Recipe, SupervisedSettings, inputs
from attend.systems import memn2n, memory_network
from attend.task import Supervised
from attend.training import Training

PAPER = "Sukhbaatar et al. 2015"
TAUGHT_PAPER = "Weston et al. 2014"
# The paper's rate with a linear start, 0.005, and its limit of 40 are for the sum over a batch of 32: so many times as
# much for the mean.
SUMMED = Training(
    epochs=80, batch=32, optimiser="sgd", learning_rate=0.16, schedule="cosine", clip=1.25, watch="accuracy"
)
CONFIG = memn2n.Config(linear=0.15)
# All tasks together take the paper's usual rate of 0.01: at half of it tasks 15 and 18 were not learnt here.
JOINT, ALL = replace(CONFIG, linear=0.2), replace(SUMMED, epochs=100, learning_rate=0.32)
RECURRENT = Training(epochs=4, batch=32, learning_rate=2e-3, schedule="cosine", clip=5.0, watch="accuracy")
TAUGHT = Training(epochs=20, batch=32, learning_rate=1e-2, schedule="cosine", clip=5.0, watch="accuracy")

ALONE = {
    1: "one supporting fact",
    2: "two supporting facts",
    5: "three arguments of a relation",
    11: "pronouns",
    12: "two persons at once",
}
"""Tasks of bAbI by their numbers, whose supporting facts are one or two; others by --data.tasks."""


def recipe(about: str, config: Any, data: Any, training: Training = SUMMED, **more: Any) -> Recipe:
    read_as = inputs(story=Story(), query=Text("word", 20_000, 50, like="story", tidy=True))
    settings: Any = SupervisedSettings(config, read_as, Classes("story"), data, training, Decoding())
    system = memn2n.System if isinstance(config, memn2n.Config) else memn2n.Recurrent
    return Recipe(about, settings, system, Supervised, PAPER, **more)


def taught(about: str, config: memory_network.Config, data: Any, variant: bool = False) -> Recipe:
    learnt = recipe(about, config, data, TAUGHT, variant=variant, taught="story")
    return replace(learnt, system=memory_network.System, paper=TAUGHT_PAPER)


RECIPES = {
    "memn2n": recipe("looks several times at a story, for your own questions", memn2n.Config(), Files()),
    "memn2n-babi-joint": recipe("all 20 tasks of bAbI together", JOINT, Babi(), ALL, variant=True),
    "memn2n-babi-joint-uniform": recipe(
        "all 20 tasks together: every hop reads the mean of the sentences",
        replace(JOINT, uniform=True),
        Babi(),
        ALL,
        control=True,
    ),
    "memn2n-babi-joint-lstm": recipe(
        "all 20 tasks together: an LSTM without a memory", memn2n.RecurrentConfig(), Babi(), RECURRENT, control=True
    ),
    **{
        f"memn2n-babi-task{number}": recipe(
            f"{what} alone", CONFIG, Babi(f"babi task {number}", (number,)), variant=True
        )
        for number, what in ALONE.items()
    },
    "memn2n-babi-task2-one-hop": recipe(
        "two supporting facts, with one hop alone", replace(CONFIG, hops=1), Babi("babi task 2", (2,)), control=True
    ),
    "memory-network-babi-joint": taught(
        "all 20 tasks of bAbI together, taught their supporting facts", memory_network.Config(hops=3), Babi(), True
    ),
    "memory-network-babi-task2": taught(
        "task 2 of bAbI, taught its two supporting facts (or your own files: --data.paths)",
        memory_network.Config(),
        Babi("babi task 2", (2,)),
    ),
}
