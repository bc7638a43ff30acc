# The peer is in its own environment only, and some of what it imports needs a stand-in first.
# ruff: noqa: E402
# pyright: reportMissingImports=false
"""JoeyNMT 2.3.0's recurrent model, update and searches as a contender: its own classes, called as its trainer does."""

import json
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import torch
from protocol import (
    LARGEST_GRADIENT,
    LEARNING_RATE,
    SIZE,
    UNKNOWN,
    Ends,
    Pair,
    handlers,
    own_loader,
    read_sizes,
    serve,
    until,
    without,
)

without(
    "torch.utils.tensorboard",
    "matplotlib",
    "matplotlib.backends.backend_pdf",
    "matplotlib.figure",
    "matplotlib.pyplot",
    "plotly",
    "plotly.express",
)
from joeynmt.batch import Batch
from joeynmt.builders import build_gradient_clipper, build_optimizer
from joeynmt.datasets import build_dataset
from joeynmt.model import build_model
from joeynmt.search import search
from joeynmt.tokenizers import BasicTokenizer
from joeynmt.vocabulary import Vocabulary

# JoeyNMT has the unknown word first and padding second, the other way round than the data folder.
JOEY_UNKNOWN, JOEY_PAD, JOEY_BEGIN, JOEY_END = 0, 1, 2, 3
SPECIAL = SimpleNamespace(
    unk_token="<unk>",
    pad_token="<pad>",
    bos_token="<s>",
    eos_token="</s>",
    sep_token=None,
    unk_id=JOEY_UNKNOWN,
    pad_id=JOEY_PAD,
    bos_id=JOEY_BEGIN,
    eos_id=JOEY_END,
    lang_tags=[],
)
RECURRENT = {
    "type": "recurrent",
    "rnn_type": "gru",
    "embeddings": {"embedding_dim": SIZE},
    "hidden_size": SIZE,
    "num_layers": 1,
    "dropout": 0.0,
}
MODEL = {
    "tied_softmax": True,
    "encoder": {**RECURRENT, "bidirectional": True},
    "decoder": {**RECURRENT, "attention": "bahdanau", "init_hidden": "bridge", "input_feeding": True},
}


class JoeyNMT:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Its tokens are the ids themselves, written out.
        self.vocabularies = [
            Vocabulary([str(token) for token in range(4, size)], SPECIAL) for size in read_sizes(folder)
        ]
        self.model = build_model(MODEL, *self.vocabularies)
        self.model.loss_function = ("crossentropy", 0.0)
        settings = {"optimizer": "adam", "learning_rate": LEARNING_RATE}
        self.optimizer = build_optimizer(settings, self.model.parameters())
        self.clip = build_gradient_clipper({"clip_grad_val": None, "clip_grad_norm": LARGEST_GRADIENT})

    def batch(self, pairs: list[Pair]) -> Batch:
        def pad(sentences: list[list[int]]) -> torch.Tensor:
            longest = max(map(len, sentences))
            known = [[JOEY_UNKNOWN if token == UNKNOWN else token for token in ids] for ids in sentences]
            return torch.tensor([ids + [JOEY_PAD] * (longest - len(ids)) for ids in known])

        return Batch(
            src=pad([source for source, _ in pairs]),
            src_length=torch.tensor([len(source) for source, _ in pairs]),
            src_prompt_mask=None,
            trg=pad([[JOEY_BEGIN, *target] for _, target in pairs]),
            trg_prompt_mask=None,
            indices=torch.arange(len(pairs)),
            device=torch.device("cpu"),
            pad_index=JOEY_PAD,
            eos_index=JOEY_END,
        )

    def own_batches(self) -> Iterator[Batch]:
        """Its loader and sampler over the data folder's text, whose words are the ids; it has no length buckets."""
        wanted = json.loads((self.folder / "own.json").read_text())
        languages = ("source", "target")
        tokenizers = {language: BasicTokenizer(level="word") for language in languages}
        for tokenizer, vocabulary in zip(tokenizers.values(), self.vocabularies, strict=True):
            tokenizer.set_vocab(vocabulary)
        dataset = build_dataset(
            dataset_type="plain",
            path=str(self.folder / "train"),
            src_lang=languages[0],
            trg_lang=languages[1],
            split="train",
            tokenizer=tokenizers,
            sequence_encoder={
                language: vocabulary.sentences_to_ids
                for language, vocabulary in zip(languages, self.vocabularies, strict=True)
            },
            has_prompt=dict.fromkeys(languages, False),
        )
        for seed in count(wanted["seed"]):
            yield from dataset.make_iter(
                wanted["sentences"], seed=seed, shuffle=True, pad_index=JOEY_PAD, eos_index=JOEY_END
            )

    def train(self, batch: Batch) -> int:
        self.model.train()
        batch.sort_by_src_length()
        loss, _, _, correct = self.model(return_type="loss", **vars(batch))
        loss = batch.normalize(loss, normalization="tokens")
        loss.backward()
        # Its trainer takes both to Python at every update.
        loss.item()
        correct.item()
        self.clip(parameters=self.model.parameters())
        self.optimizer.step()
        self.optimizer.zero_grad()
        return batch.ntokens

    def decode(self, batch: Batch, beam: int, lengths: list[int]) -> list[int]:
        self.model.eval()
        back = batch.sort_by_src_length()
        # Its greedy search goes on with sentences that have ended, until the last one has.
        ends = Ends(torch.tensor(lengths)[batch.indices], JOEY_END, drops=beam > 1)
        hook = self.model.decoder.register_forward_hook(lambda module, inputs, outputs: ends(outputs[0].squeeze(1)))
        output, _, _ = search(self.model, batch, max(lengths), beam, beam_alpha=0)
        hook.remove()
        return [until(output[place].tolist(), JOEY_END) for place in back]


if __name__ == "__main__":
    place = Path(sys.argv[1])
    contender = JoeyNMT(place)
    serve({**handlers(contender, place), "train own": own_loader(contender, contender.own_batches())})
