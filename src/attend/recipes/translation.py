"""Translation: the papers' presets for anyone's parallel text, and Multi30k with its controls.

The Multi30k recipes read the lower-cased, tokenised files as they come, and are scored on those tokens (sacreBLEU with
`tokenize none`). Those of one direction share data, vocabularies and training, so that only the model differs.
"""

from dataclasses import replace
from typing import Any

from attend.recipes.recipe import Recipe, Settings
from attend.systems import encdec, rnnsearch, rnnsearch_modern, seq2seq
from attend.tasks.text import Decoding, TextData
from attend.training import Training

WORDS = TextData(unit="word", vocabulary=30_000, longest=50, batch_sentences=80)

RNNSEARCH = Settings(
    rnnsearch.Config(),
    WORDS,
    Training(epochs=5, optimiser="adadelta", learning_rate=1.0, schedule="constant", mean_over="examples", clip=1.0),
    Decoding(beam=12, length_penalty=0.0),
)
ENCDEC = Settings(
    encdec.Config(),
    replace(WORDS, vocabulary=15_000, longest=30, batch_sentences=64),
    Training(epochs=5, optimiser="adadelta", learning_rate=1.0, schedule="constant", mean_over="examples", clip=1.0),
    Decoding(beam=12, length_penalty=0.0),
)
SEQ2SEQ = Settings(
    seq2seq.Config(),
    replace(WORDS, vocabulary=80_000, batch_sentences=128),
    Training(epochs=8, optimiser="sgd", learning_rate=0.7, schedule="halving", mean_over="examples", clip=5.0),
    Decoding(beam=12, length_penalty=0.0),
)
MODERN = Settings(
    rnnsearch_modern.Config(),
    TextData(),
    Training(epochs=30, learning_rate=2e-3, schedule="cosine", warmup=400, average=0.999, watch="bleu", patience=10),
    Decoding(),
)


def multi30k(system: Any, target: str) -> Settings[Any, Any, Any]:
    """A system on Multi30k from English, trained as `MODERN` is."""
    folder = "multi30k/tok"

    def files(part: str) -> tuple[str, str]:
        return f"{folder}/{part}.lc.norm.tok.en.gz", f"{folder}/{part}.lc.norm.tok.{target}.gz"

    data = TextData(
        name=f"multi30k en-{target}",
        train=files("train"),
        valid=files("val"),
        test=files("test_2016_flickr"),
        vocabulary=5000,
        batch_tokens=1500,
        tokenize="none",
    )
    return Settings(system, data, replace(MODERN.training, epochs=20), MODERN.decoding)


def modern(attention: Any) -> rnnsearch_modern.Config:
    return rnnsearch_modern.Config(attention=attention)


RECIPES = {
    "rnnsearch": Recipe(
        "Bahdanau et al. 2014: attention, with the paper's sizes and training", RNNSEARCH, rnnsearch.System
    ),
    "encdec": Recipe(
        "Cho et al. 2014: one summary, the paper's gated unit; for scoring phrase pairs", ENCDEC, encdec.System
    ),
    "seq2seq": Recipe("Sutskever et al. 2014: deep LSTM, source reversed", SEQ2SEQ, seq2seq.System),
    "rnnsearch-modern": Recipe(
        "attention in a conditional GRU, with subwords, dropout, Adam: for your own parallel text",
        MODERN,
        rnnsearch_modern.System,
    ),
    "rnnsearch-modern-multi30k-en-de": Recipe(
        "English to German picture captions",
        multi30k(modern("additive"), "de"),
        rnnsearch_modern.System,
        {"bleu": 39.0},
    ),
    "rnnsearch-modern-multi30k-en-fr": Recipe(
        "English to French picture captions",
        multi30k(modern("additive"), "fr"),
        rnnsearch_modern.System,
        {"bleu": 59.0},
    ),
    "rnnsearch-modern-multi30k-en-de-uniform": Recipe(
        "control: every step reads the mean annotation", multi30k(modern("uniform"), "de"), rnnsearch_modern.System
    ),
    "rnnsearch-modern-multi30k-en-de-last": Recipe(
        "control: every step reads the encoder's last states", multi30k(modern("last"), "de"), rnnsearch_modern.System
    ),
    "encdec-multi30k-en-de": Recipe(
        "control: Cho et al.'s model, small, on the same data",
        multi30k(encdec.Config(embedding=256, hidden=256, maxout=256), "de"),
        encdec.System,
    ),
    "seq2seq-multi30k-en-de": Recipe(
        "control: Sutskever et al.'s model, small and with dropout, on the same data",
        multi30k(seq2seq.Config(embedding=256, hidden=256, layers=2, dropout=0.3), "de"),
        seq2seq.System,
    ),
}
