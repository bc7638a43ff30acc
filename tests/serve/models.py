"""Small untrained models behind the server's adapter."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image as Pillow
from torch import nn

from attend.fields.image import Image
from attend.fields.text import Text
from attend.model import Model
from attend.outputs import classes, sequence
from attend.recipe import Recipe, SupervisedSettings, inputs
from attend.systems import captioner, entailment, ram, rnnsearch
from attend.task import Supervised
from attend.training import Training


def untrained(
    system: Any,
    config: Any,
    fields: Mapping[str, Any],
    output: Any,
    decoding: Any,
    values: Mapping[str, Sequence[Any]],
    targets: Sequence[str],
) -> Model:
    """A model of this system whose fields have learnt these values."""
    settings: Any = SupervisedSettings(config, inputs(**fields), output, None, Training(), decoding)
    recipe = Recipe("untrained", settings, system, Supervised)
    learnt = {name: one.learn(values[name], print) for name, one in fields.items()}
    task = Supervised(recipe, settings, learnt, output.learn(targets, print))
    torch.manual_seed(2)
    return Model(SimpleNamespace(recipe="untrained", settings=settings), task, [task.build().eval()])


def translation() -> Model:
    model = untrained(
        rnnsearch.System,
        rnnsearch.Config(embedding=6, hidden=6, maxout=6),
        {"source": Text("word", 30)},
        sequence.Sequence("word", 30),
        sequence.Decoding(beam=2),
        {"source": ["ab ba", "ba ab ab"]},
        ["x y", "x x"],
    )
    for parameter in model.systems[0].parameters():
        nn.init.normal_(parameter, std=0.6)
    return model


def image_classes() -> Model:
    return untrained(
        ram.System,
        ram.Config(glimpses=3, size=4, hidden=16, sensed=8, glimpse=16),
        {"image": Image()},
        classes.Classes(),
        classes.Decoding(),
        {"image": [np.zeros((1, 12, 12), dtype=np.uint8)]},
        ["cat", "dog", "owl"],
    )


def captions() -> Model:
    return untrained(
        captioner.System,
        captioner.Config(
            encoder="convolutional",
            features=8,
            embedding=8,
            hidden=12,
            alignment=8,
            dropout=0.0,
            state_dropout=0.0,
            penalty=0.0,
        ),
        {"image": Image()},
        sequence.Sequence("word", 20, tidy=True, metrics="captions"),
        sequence.Decoding(1, 0.0, longest=12),
        {"image": [np.zeros((1, 16, 16), dtype=np.uint8)]},
        ["red circle", "blue square"],
    )


def sentence_pairs() -> Model:
    return untrained(
        entailment.System,
        entailment.Config(embedding=6, hidden=8),
        {"premise": Text("word", 30), "hypothesis": Text("word", 30, like="premise")},
        classes.Classes(),
        classes.Decoding(),
        {"premise": ["a dog runs", "two cats sleep"], "hypothesis": ["a dog runs", "two cats sleep"]},
        ["contradiction", "entailment", "neutral"],
    )


def image(rows: int = 12) -> Pillow.Image:
    return Pillow.fromarray(np.random.default_rng(0).integers(256, size=(rows, 12), dtype=np.uint8))


def data_uri(rows: int = 12, form: str = "png") -> str:
    """The image as a PNG or JPEG file."""
    file = BytesIO()
    image(rows).save(file, format=form)
    return f"data:image/{form};base64,{b64encode(file.getvalue()).decode()}"
