"""A system of one's own with an existing field and output: a text classifier that attends once, with a learnt query.

    attend train own_system:RECIPE --out runs/topics --data.train train.tsv --data.valid valid.tsv
    attend show runs/topics "a text" --recipe own_system:RECIPE

The tables have the columns text and label. Run in this folder, or with it on PYTHONPATH.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attend.attention.mechanism import Attend
from attend.attention.memory import Read
from attend.attention.normalise import softmax
from attend.attention.score import Additive
from attend.contract import Answers, Batch, Look, Loss
from attend.data.own import Files
from attend.fields.text import Text
from attend.outputs.classes import Classes, Decoding
from attend.recipe import Recipe, SupervisedSettings, inputs
from attend.task import Supervised
from attend.training import Training


@dataclass(frozen=True)
class Config:
    """Sizes."""

    embedding: int = 64
    """Size of the word embeddings."""


class System(nn.Module):
    """Word embeddings, read once: sum_i alpha_i e_i, alpha = softmax(v^T tanh(W q + U e_i)), for a learnt query q."""

    def __init__(self, config: Config, text_vocabulary: int, target_classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(text_vocabulary, config.embedding)
        self.query = nn.Parameter(torch.zeros(config.embedding))
        self.attend = Attend(Additive(config.embedding, config.embedding, config.embedding), softmax)
        self.output = nn.Linear(config.embedding, target_classes)

    def read(self, batch: Batch) -> Read:
        text = batch.inputs["text"]
        memory = self.attend.prepare(self.embedding(text.values), text.mask)
        return self.attend(self.query.expand(len(text.values), 1, -1), memory)

    def forward(self, batch: Batch) -> Loss:
        logits: Tensor = self.output(self.read(batch).context.squeeze(1))
        nll = F.cross_entropy(logits, batch.target, reduction="sum")
        return Loss(nll, len(logits), {"nll": nll.detach()})

    def answer(self, batch: Batch) -> Answers:
        read = self.read(batch)
        return Answers(self.output(read.context), {"text": Look(read.weights, "text")})


RECIPE = Recipe(
    "a text classifier that attends once",
    SupervisedSettings(
        Config(),
        inputs(text=Text("word", 20_000)),
        Classes(),
        Files(),
        Training(epochs=10, learning_rate=2e-3, watch="accuracy"),
        Decoding(),
    ),
    System,
    Supervised,
    paper="nobody's",
)
