"""Translation: the papers' presets for anyone's parallel text, and Multi30k with its controls.

The Multi30k recipes read the lower-cased, tokenised files as they come, and are scored on those tokens (sacreBLEU with
`tokenize none`). Those of one direction share data, vocabularies and training, so that only the model differs.
"""

from dataclasses import replace
from typing import Any

from attend.data.own import Files
from attend.fields.text import Text
from attend.outputs.sequence import Decoding, Sequence
from attend.recipe import Recipe, SupervisedSettings, inputs
from attend.recipes.dates import SCORES
from attend.systems import encdec, rnnsearch, rnnsearch_modern, seq2seq
from attend.task import Supervised
from attend.training import Training

BAHDANAU = "Bahdanau, Cho & Bengio 2014"
CHO = "Cho et al. 2014"
SUTSKEVER = "Sutskever, Vinyals & Le 2014"
NEMATUS = "Sennrich et al. 2017"

# The 2014 papers' optimisers are for gradients summed over a sentence, not averaged over its tokens.
ADADELTA = Training(
    epochs=5, optimiser="adadelta", learning_rate=1.0, schedule="constant", mean_over="examples", clip=1.0
)
HALVING = Training(epochs=8, optimiser="sgd", learning_rate=0.7, schedule="halving", mean_over="examples", clip=5.0)
MODERN = Training(
    epochs=30,
    batch_tokens=2000,
    learning_rate=2e-3,
    schedule="cosine",
    warmup=400,
    average=0.999,
    watch="bleu",
    patience=10,
)


def settings(
    system: Any, text: Text, training: Training, decoding: Decoding, data: Files, tokenize: Any = "13a"
) -> SupervisedSettings[Any, Any, Any, Any, Any]:
    """Text to text, both sides tokenised in the same way."""
    target = Sequence(text.unit, text.vocabulary, text.longest, tokenize=tokenize)
    return SupervisedSettings(system, inputs(source=text), target, data, training, decoding)


def words(
    system: Any, vocabulary: int, longest: int, training: Training
) -> SupervisedSettings[Any, Any, Any, Any, Any]:
    return settings(system, Text("word", vocabulary, longest), training, Decoding(12, 0.0), Files())


def multi30k(system: Any, target: str) -> SupervisedSettings[Any, Any, Any, Any, Any]:
    """A system on Multi30k from English, trained as `MODERN` is."""
    folder = "multi30k/tok"

    def files(part: str) -> tuple[str, str]:
        return f"{folder}/{part}.lc.norm.tok.en.gz", f"{folder}/{part}.lc.norm.tok.{target}.gz"

    data = Files(f"multi30k en-{target}", files("train"), files("val"), files("test_2016_flickr"))
    training = replace(MODERN, epochs=20, batch_tokens=1500)
    return settings(system, Text(vocabulary=5000), training, Decoding(), data, "none")


def modern(attention: Any) -> rnnsearch_modern.Config:
    return rnnsearch_modern.Config(attention=attention)


RECIPES = {
    "rnnsearch": Recipe(
        "attention, with the paper's sizes and training",
        words(rnnsearch.Config(), 30_000, 50, replace(ADADELTA, batch=80)),
        rnnsearch.System,
        Supervised,
        BAHDANAU,
    ),
    "encdec": Recipe(
        "one summary, the paper's gated unit; for scoring phrase pairs",
        words(encdec.Config(), 15_000, 30, ADADELTA),
        encdec.System,
        Supervised,
        CHO,
    ),
    "seq2seq": Recipe(
        "deep LSTM, source reversed",
        words(seq2seq.Config(), 80_000, 50, replace(HALVING, batch=128)),
        seq2seq.System,
        Supervised,
        SUTSKEVER,
    ),
    "rnnsearch-modern": Recipe(
        "attention in a conditional GRU, with subwords, dropout, Adam: for your own parallel text",
        settings(rnnsearch_modern.Config(), Text(), replace(MODERN, epochs=0), Decoding(), Files()),
        rnnsearch_modern.System,
        Supervised,
        NEMATUS,
    ),
    "rnnsearch-modern-multi30k-en-de": Recipe(
        "English to German picture captions",
        multi30k(modern("additive"), "de"),
        rnnsearch_modern.System,
        Supervised,
        NEMATUS,
        variant=True,
        reaches={"bleu": 39.0},
    ),
    "rnnsearch-modern-multi30k-en-fr": Recipe(
        "English to French picture captions",
        multi30k(modern("additive"), "fr"),
        rnnsearch_modern.System,
        Supervised,
        NEMATUS,
        variant=True,
        reaches={"bleu": 59.0},
    ),
    "rnnsearch-modern-multi30k-en-de-uniform": Recipe(
        "every step reads the mean annotation",
        multi30k(modern("uniform"), "de"),
        rnnsearch_modern.System,
        Supervised,
        NEMATUS,
        control=True,
    ),
    "rnnsearch-modern-multi30k-en-de-last": Recipe(
        "every step reads the encoder's last states",
        multi30k(modern("last"), "de"),
        rnnsearch_modern.System,
        Supervised,
        NEMATUS,
        control=True,
    ),
    **{
        f"rnnsearch-modern-multi30k-en-de-{score}": Recipe(
            f"English to German picture captions, with {about}",
            multi30k(modern(score), "de"),
            rnnsearch_modern.System,
            Supervised,
            NEMATUS,
            variant=True,
        )
        for score, about in SCORES.items()
    },
    "encdec-multi30k-en-de": Recipe(
        "Cho et al.'s model, small, on the same data",
        multi30k(encdec.Config(embedding=256, hidden=256, maxout=256), "de"),
        encdec.System,
        Supervised,
        CHO,
        control=True,
    ),
    "seq2seq-multi30k-en-de": Recipe(
        "Sutskever et al.'s model, small and with dropout, on the same data",
        multi30k(seq2seq.Config(embedding=256, hidden=256, layers=2, dropout=0.3), "de"),
        seq2seq.System,
        Supervised,
        SUTSKEVER,
        control=True,
    ),
}
