"""Questions about stories: memory networks on bAbI, with controls, and for your own stories."""

from dataclasses import replace
from typing import Any

from attend.data.babi import Babi
from attend.data.own import Files
from attend.fields.story import Story
from attend.fields.text import Text
from attend.outputs.classes import Classes, Decoding
from attend.recipe import Recipe, SupervisedSettings, inputs
from attend.systems import memn2n
from attend.task import Supervised
from attend.training import Training

PAPER = "Sukhbaatar et al. 2015"
# The paper's rate of 0.01 and limit of 40 are for the sum over a batch of 32.
SUMMED = Training(
    epochs=100, batch=32, optimiser="sgd", learning_rate=0.32, schedule="cosine", clip=1.25, watch="accuracy"
)
JOINT = memn2n.Config(linear=11_000)  # twenty epochs of the twenty tasks
TASK = replace(JOINT, linear=580)  # of one


def recipe(about: str, config: memn2n.Config, data: Any, training: Training = SUMMED, **more: Any) -> Recipe:
    read_as = inputs(story=Story(), query=Text("word", 20_000, 50, like="story", tidy=True))
    settings: Any = SupervisedSettings(config, read_as, Classes(), data, training, Decoding())
    return Recipe(about, settings, memn2n.System, Supervised, PAPER, **more)


RECIPES = {
    "memn2n": recipe("looks several times at a story, for your own questions", memn2n.Config(), Files()),
    "memn2n-babi-joint": recipe("all 20 tasks of bAbI together", JOINT, Babi(), variant=True),
    "memn2n-babi-joint-uniform": recipe(
        "all 20 tasks together: every hop reads the mean of the sentences",
        replace(JOINT, uniform=True),
        Babi(),
        control=True,
    ),
    "memn2n-babi-task2": recipe(
        "task 2, two supporting facts (or others: --data.tasks)", TASK, Babi("babi task 2", (2,)), variant=True
    ),
    "memn2n-babi-task2-one-hop": recipe(
        "task 2 with one hop alone", replace(TASK, hops=1), Babi("babi task 2", (2,)), control=True
    ),
}
