"""Captions: show, attend and tell on generated scenes, on NLVR's sentences and on your own images, and its controls.

Scenes are new ones in every epoch; those that are measured on are frozen. NLVR's development set is divided by what was
shown together: no picture of a presentation that is learnt is measured on, though some sentences occur in both.
"""

from dataclasses import replace
from typing import Any, Literal

from attend.data.nlvr import Nlvr
from attend.data.own import Files
from attend.data.scenes import GeneratedScenes
from attend.fields.grid import Grid
from attend.fields.image import Image
from attend.outputs.sequence import Decoding, Sequence
from attend.recipe import Recipe, SupervisedSettings, inputs
from attend.systems import captioner
from attend.task import Supervised
from attend.training import Training

PAPER = "Xu et al. 2015"

# With little dropout of the state all of an object in a scene is read at its colour, and its shape remembered: at the
# noun the model looks anywhere.
SMALL = captioner.Config(
    encoder="convolutional", features=64, embedding=96, hidden=256, alignment=64, dropout=0.2, penalty=0.0
)
TRAINING = Training(epochs=12, batch=32, learning_rate=1.5e-3, schedule="cosine", warmup=100, watch="exact_match")
WORDS = Sequence("word", 10_000, 50, tidy=True, metrics="captions")
SCENE_WORDS = replace(WORDS, vocabulary=100, longest=20)
PIXELS = Image("colour", 64, 64)
GREEDY = Decoding(1, 0.0, longest=50)


def recipe(about: str, settings: SupervisedSettings[Any, Any, Any, Any, Any], **more: Any) -> Recipe:
    return Recipe(about, settings, captioner.System, Supervised, PAPER, **more)


def on_scenes(
    config: captioner.Config, training: Training = TRAINING, data: GeneratedScenes | None = None
) -> SupervisedSettings[Any, Any, Any, Any, Any]:
    examples = GeneratedScenes() if data is None else data
    return SupervisedSettings(
        config, inputs(image=Image("colour")), SCENE_WORDS, examples, training, replace(GREEDY, longest=20)
    )


def with_attention(attention: Literal["soft", "hard", "mean"]) -> captioner.Config:
    # Where half of the minibatches sample, as in the paper, what was read at the colour is relied on, and at the noun
    # the model looks elsewhere more often.
    return replace(SMALL, attention=attention, sampled=0.2)


def on_nlvr(attention: Literal["soft", "mean"]) -> SupervisedSettings[Any, Any, Any, Any, Any]:
    config = replace(SMALL, attention=attention, dropout=0.5)
    # Of weights chosen by CIDEr, on few pictures with sentences that differ, those that say what is said most win.
    training = replace(TRAINING, epochs=100, watch="loss", measured=300)
    return SupervisedSettings(config, inputs(image=Image("colour")), WORDS, Nlvr(), training, GREEDY)


RECIPES = {
    "captioner": recipe(
        "captions with a look at the image for each word, for your own images and captions",
        SupervisedSettings(
            SMALL,
            inputs(image=PIXELS),
            WORDS,
            Files(),
            replace(TRAINING, epochs=50, watch="loss", measured=1000),
            GREEDY,
        ),
    ),
    "captioner-paper": recipe(
        "the authors' sizes for COCO, on grids of features from a file; for a GPU",
        SupervisedSettings(
            captioner.Config(),
            inputs(image=Grid()),
            WORDS,
            Files(),
            Training(
                epochs=20,
                learning_rate=2e-4,
                schedule="constant",
                mean_over="examples",
                clip=0.0,
                patience=10,
                watch="loss",
                measured=1000,
            ),
            replace(GREEDY, beam=5),
        ),
        variant=True,
    ),
    "captioner-small": recipe(
        "generated scenes, a few seconds of learning: their words, and the order of these",
        on_scenes(
            replace(SMALL, features=16, embedding=32, hidden=64, alignment=16, dropout=0.0, state_dropout=0.0),
            replace(TRAINING, epochs=3, learning_rate=4e-3, warmup=20, watch="loss"),
            GeneratedScenes(scenes=2560, measured=100),
        ),
        variant=True,
        reaches={"perplexity": 4.0},
    ),
    "captioner-scenes-soft": recipe(
        "generated scenes, soft attention",
        on_scenes(with_attention("soft")),
        variant=True,
        reaches={"exact_match": 0.95, "pointing_accuracy_last_step": 0.80},
    ),
    "captioner-scenes-hard": recipe(
        "generated scenes, hard attention",
        on_scenes(with_attention("hard")),
        variant=True,
        reaches={"exact_match": 0.97, "pointing_accuracy_last_step": 0.80},
    ),
    "captioner-scenes-mean": recipe(
        "generated scenes, from the mean of all cells", on_scenes(with_attention("mean")), control=True
    ),
    "captioner-nlvr": recipe("people's sentences that are true of NLVR's pictures", on_nlvr("soft"), variant=True),
    "captioner-nlvr-mean": recipe(
        "people's sentences about NLVR's pictures, from the mean of all cells", on_nlvr("mean"), control=True
    ),
}
