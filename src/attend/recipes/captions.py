"""Captions: show, attend and tell on generated scenes, on NLVR's sentences and on your own images, and its controls.

Training scenes are new in every epoch; evaluation scenes are frozen. NLVR's development set is split by presentation:
no presentation's pictures are in both training and validation, though some sentences are.
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

# With little state dropout the model reads an object's colour and shape at the colour word and remembers the shape: at
# the noun its attention is arbitrary.
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
    # With `sampled` 0.5, as in the paper, the model relies more on what it read at the colour word, and points less
    # accurately at the noun.
    return replace(SMALL, attention=attention, sampled=0.2)


def on_nlvr(attention: Literal["soft", "mean"]) -> SupervisedSettings[Any, Any, Any, Any, Any]:
    config = replace(SMALL, attention=attention, dropout=0.5)
    # With few pictures and diverse sentences, selection by CIDEr favours weights that repeat the commonest sentences.
    training = replace(TRAINING, epochs=100, watch="loss", measured=300)
    return SupervisedSettings(config, inputs(image=Image("colour")), WORDS, Nlvr(), training, GREEDY)


RECIPES = {
    "captioner": recipe(
        "captions with attention to the image at each word, for your own images and captions",
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
        "generated scenes, a few seconds of training: the words and their order",
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
    "captioner-nlvr": recipe("human sentences that are true of NLVR's pictures", on_nlvr("soft"), variant=True),
    "captioner-nlvr-mean": recipe(
        "human sentences about NLVR's pictures, from the mean of all cells", on_nlvr("mean"), control=True
    ),
}
