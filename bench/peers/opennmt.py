# The peer is in its own environment only, and some of what it imports needs a stand-in first.
# ruff: noqa: E402
# pyright: reportMissingImports=false
"""OpenNMT-py 3.5.1's recurrent model, update and searches as a contender: its own classes, called as its trainer does.

Its encoder's two directions share the size given: they are 128 each where the other contenders' are 256.
"""

import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from protocol import (
    LARGEST_GRADIENT,
    LEARNING_RATE,
    SIZE,
    UNKNOWN,
    Ends,
    Pair,
    handlers,
    read_sizes,
    serve,
    until,
    without,
)

# torch has renamed decorators that OpenNMT-py uses.
warnings.filterwarnings("ignore", category=FutureWarning)
without("ahocorasick", "fasttext", "rapidfuzz", "regex", "sacrebleu", "spacy")
from onmt import opts
from onmt.inputters.inputter import dict_to_vocabs
from onmt.model_builder import build_model
from onmt.translate.beam_search import GNMTGlobalScorer
from onmt.translate.translator import Translator
from onmt.utils.loss import LossCompute
from onmt.utils.optimizers import Optimizer
from onmt.utils.parse import ArgumentParser

# OpenNMT-py has the unknown word first and padding second, the other way round than the data folder.
ONMT_UNKNOWN, ONMT_PAD, ONMT_BEGIN, ONMT_END = 0, 1, 2, 3
SPECIAL = ["<unk>", "<blank>", "<s>", "</s>"]
SETTINGS = f"""
    --data none --src_vocab none --tgt_vocab none --encoder_type brnn --decoder_type rnn --rnn_type GRU
    --word_vec_size {SIZE} --hidden_size {SIZE} --enc_layers 1 --dec_layers 1 --global_attention mlp
    --share_decoder_embeddings --dropout 0 --optim adam --learning_rate {LEARNING_RATE}
    --max_grad_norm {LARGEST_GRADIENT}
"""

Batch = dict[str, torch.Tensor]


class OpenNMT:
    def __init__(self, folder: Path) -> None:
        parser = ArgumentParser()
        opts.train_opts(parser)
        settings = parser.parse_args(SETTINGS.split())
        ArgumentParser.update_model_opts(settings)
        ArgumentParser.validate_model_opts(settings)
        source, target = ([*SPECIAL, *map(str, range(4, size))] for size in read_sizes(folder))
        self.vocabularies = dict_to_vocabs(
            {"src": source, "tgt": target, "data_task": "seq2seq", "decoder_start_token": "<s>"}
        )
        self.model = build_model(settings, settings, self.vocabularies, None, -1)
        self.loss = LossCompute.from_opts(settings, self.model, self.vocabularies["tgt"])
        self.optimizer = Optimizer.from_opt(self.model, settings)

    def batch(self, pairs: list[Pair]) -> Batch:
        # Its trainer hands over batches with the longest source first.
        order = sorted(range(len(pairs)), key=lambda place: len(pairs[place][0]), reverse=True)
        pairs = [pairs[place] for place in order]

        def pad(sentences: list[list[int]]) -> torch.Tensor:
            longest = max(map(len, sentences))
            known = [[ONMT_UNKNOWN if token == UNKNOWN else token for token in ids] for ids in sentences]
            return torch.tensor([ids + [ONMT_PAD] * (longest - len(ids)) for ids in known]).unsqueeze(2)

        return {
            "src": pad([source for source, _ in pairs]),
            "srclen": torch.tensor([len(source) for source, _ in pairs]),
            "order": torch.tensor(order),
            "tgt": pad([[ONMT_BEGIN, *target] for _, target in pairs]),
        }

    def train(self, batch: Batch) -> int:
        self.model.train()
        tokens = int((batch["tgt"][:, 1:] != ONMT_PAD).sum())
        self.optimizer.zero_grad(set_to_none=True)
        output, attention = self.model(batch["src"], batch["tgt"], batch["srclen"])
        loss, _ = self.loss(batch, output, attention)
        self.optimizer.backward(loss / tokens)
        self.model.decoder.detach_state()
        self.optimizer.step()
        return tokens

    def decode(self, batch: Batch, beam: int, lengths: list[int]) -> list[int]:
        self.model.eval()
        greedy: dict[str, Any] = {"random_sampling_topk": 1} if beam == 1 else {}
        translator = Translator(
            self.model,
            self.vocabularies,
            min_length=0,
            max_length=max(lengths),
            max_length_ratio=0,
            beam_size=beam,
            global_scorer=GNMTGlobalScorer(0.0, 0.0, "none", "none"),
            **greedy,
        )
        ends = Ends(torch.tensor(lengths)[batch["order"]], ONMT_END, drops=True)
        hook = self.model.generator.register_forward_hook(lambda module, inputs, scores: ends(scores))
        found = translator.translate_batch({"src": batch["src"], "srclen": batch["srclen"]}, attn_debug=False)
        hook.remove()
        written = {
            place: until(best[0].tolist(), ONMT_END)
            for place, best in zip(batch["order"].tolist(), found["predictions"], strict=True)
        }
        return [written[place] for place in range(len(lengths))]


if __name__ == "__main__":
    place = Path(sys.argv[1])
    serve(handlers(OpenNMT(place), place))
