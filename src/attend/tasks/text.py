"""Text in, text out: joins a system that decodes step by step to parallel text.

It reads data through codecs, gives the training loop its batches, predicts, scores, and turns what a search returns
into text and traces. It knows no system: any `Decoder` over `Pairs` will do.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from attend import decoding, metrics
from attend.attention.trace import Named, Token, Tokens, Trace, Weights
from attend.contract import END, UNKNOWN, Decoder, Model, Pairs
from attend.data.check import check
from attend.data.codec import Codec, Encoded, Unit
from attend.data.corpus import Corpus, LeftOut, collate, plan
from attend.data.files import Pair, read_pairs
from attend.metrics import looks_tokenized
from attend.progress import Tell
from attend.settings import check_range

END_SHOWN = "</s>"
SPARE = 10
"""Tokens that an output may be longer than a multiple of the source's, `Decoding.longest`."""

USE = """```
echo "..." | attend predict {folder}
attend show {folder} "..."
```

```python
import attend

model = attend.load({string})
print(model.predict("...").text)
```"""


@dataclass(frozen=True)
class TextData:
    """Parallel text: what to learn from, and how it is cut into tokens."""

    name: str = ""
    """What the data is called in results and model cards, such as "multi30k en-de"."""
    train: tuple[str, ...] = ()
    """Two line-aligned files (source target), or one .tsv or .jsonl file; each plain, .gz or .xz. A relative path is
    also looked for in the folder that ATTEND_DATA names."""
    valid: tuple[str, ...] = ()
    """The same, to choose the best weights by; never learnt from."""
    test: tuple[str, ...] = ()
    """The same, for `attend evaluate` after training; neither learnt from nor chosen by."""
    source_key: str = "source"
    """The source's key in .jsonl files."""
    target_key: str = "target"
    """The target's key in .jsonl files."""
    unit: Unit = "bpe"
    """What a token is: a whole word, a subword (bpe or unigram), or a character."""
    vocabulary: int = 8000
    """Entries of each vocabulary, the four special ones included."""
    joint: bool = False
    """One vocabulary, learnt from both sides together, instead of one a side."""
    longest: int = 100
    """Pairs with a longer side (in tokens) are left out of training, and counted."""
    batch_tokens: int = 2000
    """Greatest size of a batch, in padded tokens of its longer side."""
    batch_sentences: int = 0
    """Pairs to a batch, whatever their lengths; 0 to go by `batch_tokens`."""
    tokenize: Literal["none", "13a", "char", "intl", "zh"] = "13a"
    """How sacreBLEU cuts the text before it counts: "none" for text that is already tokenised."""

    def __post_init__(self) -> None:
        check_range(self, "longest batch_tokens", 1)
        check_range(self, "vocabulary", 5)
        check_range(self, "batch_sentences", 0)


@dataclass(frozen=True)
class Decoding:
    """How outputs are searched for."""

    beam: int = 5
    """Hypotheses an output keeps; 1 is greedy."""
    length_penalty: float = 1.0
    """Exponent of the length that log-probabilities are divided by: 0 for none, 1 for their mean."""
    longest: float = 2.0
    """Greatest length of an output, as a multiple of the source's: in tokens, END included, plus 10."""

    def __post_init__(self) -> None:
        check_range(self, "beam", 1)
        check_range(self, "length_penalty longest", 0)


@dataclass(frozen=True, eq=False)
class Prediction:
    """One output of one input: its text, its tokens with ids and log-probabilities, and where the model looked."""

    source: Encoded
    text: str
    tokens: tuple[Token, ...]
    ids: tuple[int, ...]
    token_log_probs: tuple[float, ...]
    log_prob: float
    score: float
    weights: Float[np.ndarray, "step memory"] | None

    def __str__(self) -> str:
        from attend.show import terminal

        look = self.trace().looks.get("source")
        return f"{self.text}\n{terminal.heat_map(look, 100, colour=False)}" if isinstance(look, Weights) else self.text

    def _repr_html_(self) -> str:
        from attend.show.page import frame

        return frame([self.trace()], self.source.text)

    def trace(self, **about: str) -> Trace:
        """The trace; without looks where the system has no attention."""
        looks = {}
        if self.weights is not None:
            steps = Tokens(self.text, self.tokens)
            looks["source"] = Weights(self.weights, steps, source_axis(self.source, self.weights.shape[1]))
        return Trace(self.source.text, self.text, looks, self.token_log_probs, about)


def source_axis(source: Encoded, cells: int) -> Tokens | Named:
    """What the memory's cells are: the source's tokens and their END, or one summary of them all."""
    if cells != len(source.ids) + 1:
        return Named(("summary",))
    tokens = [Token(text, *place) for text, place in zip(source.tokens, source.offsets, strict=True)]
    return Tokens(source.text, (*tokens, Token(END_SHOWN)))


class TextToText:
    """The task: `prepare` makes its codecs and reads its data, `open` takes the codecs of a run, to predict.

    What it measures is measured on greedy outputs.
    """

    measures: tuple[str, ...] = ("bleu", "exact_match")
    unit: ClassVar[str] = "tokens"
    kept: ClassVar[tuple[str, ...]] = ("source.tokenizer.json", "target.tokenizer.json")
    use: ClassVar[str] = USE

    def __init__(
        self,
        build: Callable[..., nn.Module],
        data: TextData,
        source_codec: Codec,
        target_codec: Codec,
        seed: int = 1,
    ) -> None:
        self._build = build
        self.data, self.seed = data, seed
        self.source_codec, self.target_codec = source_codec, target_codec
        self.corpus: Corpus | None = None
        self.valid: list[Pair] = []
        self.left_out: LeftOut | None = None

    @classmethod
    def prepare(
        cls, build: Callable[..., nn.Module], data: TextData, seed: int, folder: Path, log: Callable[[str], None]
    ) -> "TextToText":
        """Check the data, learn the vocabularies, save them in `folder`, and read training and validation data."""
        check_data(data, log)

        def side(which: Literal["source", "target"]) -> Iterator[str]:
            return (getattr(pair, which) for pair in read_pairs(data.train, data.source_key, data.target_key))

        if data.joint:
            lines = (text for which in ("source", "target") for text in side(which))
            source_codec = target_codec = Codec.train(lines, data.unit, data.vocabulary)
        else:
            source_codec = Codec.train(side("source"), data.unit, data.vocabulary)
            target_codec = Codec.train(side("target"), data.unit, data.vocabulary)
        for codec, name in zip((source_codec, target_codec), cls.kept, strict=True):
            codec.save(folder / name)
        task = TextToText(build, data, source_codec, target_codec, seed)
        task.read(log)
        return task

    @classmethod
    def open(cls, build: Callable[..., nn.Module], data: TextData, seed: int, folder: Path) -> "TextToText":
        """The task of a run folder, with the codecs saved there and no data read."""
        source_codec, target_codec = (Codec.load(str(folder / name)) for name in cls.kept)
        return TextToText(build, data, source_codec, target_codec, seed)

    def read(self, log: Callable[[str], None]) -> None:
        """Read training and validation data, and say what was left out of training."""
        data = self.data
        keys = (data.source_key, data.target_key)
        self.corpus, self.left_out = Corpus.read(data.train, self.source_codec, self.target_codec, data.longest, *keys)
        log(f"{len(self.corpus):,} training pairs; {self.left_out}")
        self.valid, empty = usable_pairs(data.valid, data)
        log(f"{len(self.valid):,} validation pairs" + (f"; {empty:,} left out for an empty side" if empty else ""))
        if data.tokenize != "none" and looks_tokenized([pair.target for pair in self.valid]):
            log(
                "the validation targets look tokenised already, and BLEU would cut them once more: if they are, set"
                " data.tokenize to none (--data.tokenize none)"
            )
        log(f"vocabularies of {len(self.source_codec):,} and {len(self.target_codec):,} {data.unit} tokens")

    def files(self, split: Literal["train", "valid", "test"]) -> tuple[str, ...]:
        return getattr(self.data, split)

    def model(self, config: Any, systems: Sequence[nn.Module]) -> Model:
        from attend.tasks.text_model import TextModel

        return TextModel(config, self, systems)

    def counts(self) -> dict[str, int]:
        assert self.corpus is not None, "the task was opened to predict: it has no training data"
        return {
            "training pairs": len(self.corpus),
            "validation pairs": len(self.valid),
            "source vocabulary": len(self.source_codec),
            "target vocabulary": len(self.target_codec),
        }

    def build(self) -> nn.Module:
        return self._build(len(self.source_codec), len(self.target_codec))

    def plan(self, epoch: int) -> list[list[int]]:
        assert self.corpus is not None, "the task was opened to predict: it has no training data"
        sentences = self.data.batch_sentences or None
        batches = plan(self.corpus, self.data.batch_tokens, self.seed, epoch, sentences)
        return [batch.tolist() for batch in batches]

    def batch(self, indices: Sequence[int]) -> Pairs:
        assert self.corpus is not None, "the task was opened to predict: it has no training data"
        return collate([self.corpus.source(i) for i in indices], [self.corpus.target(i) for i in indices])

    def validation(self) -> Iterator[Pairs]:
        return self.pairs(self.valid)

    def measure(self, system: nn.Module) -> dict[str, float]:
        # Whatever its length, a reference can be written: the best weights must not be those that write little.
        sources = with_end(self.source_codec.encode_many(pair.source for pair in self.valid))
        targets = with_end(self.target_codec.encode_many(pair.target for pair in self.valid))
        needed = max((len(target) - SPARE) / len(source) for source, target in zip(sources, targets, strict=True))
        how = Decoding(beam=1, longest=max(Decoding.longest, math.ceil(needed)))
        predictions = self.predict(system, [pair.source for pair in self.valid], how)
        hypotheses = [best[0].text for best in predictions]
        references = [pair.target for pair in self.valid]
        bleu = metrics.bleu(self.data.tokenize)
        counts = metrics.sentence_statistics(bleu, hypotheses, references).sum(0)
        return {"bleu": bleu.score(counts), "exact_match": metrics.exact_match(hypotheses, references)}

    def pairs(self, pairs: Sequence[Pair], sentences: int = 64) -> Iterator[Pairs]:
        """Given pairs as batches of like length, in no order that matters."""
        sources = with_end(self.source_codec.encode_many(pair.source for pair in pairs))
        targets = with_end(self.target_codec.encode_many(pair.target for pair in pairs))
        for part in groups([max(map(len, both)) for both in zip(sources, targets, strict=True)], sentences):
            yield collate([sources[i] for i in part], [targets[i] for i in part])

    def predict(
        self,
        system: Any,
        sources: Sequence[str],
        how: Decoding,
        best: int = 1,
        sentences: int = 64,
        samples: int = 0,
        generator: torch.Generator | None = None,
        report: Tell | None = None,
        watch: decoding.Watch | None = None,
    ) -> list[list[Prediction]]:
        """For each source, in order, its `best` outputs, or that many random `samples`; none for an empty line.

        Sources of like length are decoded together, `sentences` at a time. `report` is told how many are done, of how
        many; `watch` is told of each step of a search, and ends it by raising.
        """
        encoded = [self.source_codec.encode(source) for source in sources]
        found: list[list[Prediction]] = [[] for _ in sources]
        given = [i for i, source in enumerate(encoded) if source.text.strip()]
        done = 0
        for group in groups([len(encoded[i].ids) for i in given], sentences):
            part = [given[place] for place in group]
            batch = sources_only([encoded[i].ids for i in part], device_of(system))
            longest = (batch.source_mask.sum(1) * how.longest + SPARE).long()
            if samples:
                hypotheses = decoding.sample(system, batch, longest, samples, generator=generator)
            elif how.beam == 1 and best == 1:
                hypotheses = decoding.greedy(system, batch, longest, watch=watch)
            else:
                hypotheses = decoding.beam_search(
                    system, batch, longest, how.beam, how.length_penalty, best, watch=watch
                )
            for i, several in zip(part, hypotheses, strict=True):
                found[i] = [self.prediction(encoded[i], hypothesis) for hypothesis in several]
            done += len(part)
            if report:
                report(done, len(given))
        return found

    def force(self, system: Any, pairs: Sequence[Any], sentences: int = 64) -> list[Prediction]:
        """The given targets of pairs (source, target) as predictions, in order: log-probabilities and attention.

        Raises `TypeError` for what is no pair of texts, `ValueError` for an empty side.
        """
        for number, pair in enumerate(pairs, start=1):
            if isinstance(pair, str) or len(pair) != 2 or not all(isinstance(side, str) for side in pair):
                raise TypeError(f"pair {number} must be two texts, a source and a target, not {pair!r}")
            if not all(side.strip() for side in pair):
                raise ValueError(f"pair {number} has an empty side: there is nothing to score")
        encoded = [self.source_codec.encode(source) for source, _ in pairs]
        targets = with_end(self.target_codec.encode_many(target for _, target in pairs))
        found: dict[int, Prediction] = {}
        lengths = [max(len(target), len(source.ids)) for target, source in zip(targets, encoded, strict=True)]
        for part in groups(lengths, sentences):
            batch = sources_only([encoded[i].ids for i in part], device_of(system))
            hypotheses = decoding.forced(system, batch, [targets[i].tolist() for i in part])
            for i, hypothesis in zip(part, hypotheses, strict=True):
                found[i] = self.prediction(encoded[i], hypothesis, pairs[i][1])
        return [found[i] for i in range(len(pairs))]

    def prediction(self, source: Encoded, hypothesis: decoding.Hypothesis, text: str | None = None) -> Prediction:
        """A search's result in text. `text` is given where the target was, to keep what no vocabulary holds."""
        ids = [token for token in hypothesis.tokens if token != END]
        spelt = self.target_codec.spell(ids) if text is None else self.target_codec.encode(text)
        tokens = [Token(piece, *place) for piece, place in zip(spelt.tokens, spelt.offsets, strict=True)]
        if hypothesis.finished:
            tokens.append(Token(END_SHOWN))
        return Prediction(
            source,
            spelt.text,
            tuple(tokens),
            tuple(hypothesis.tokens),
            tuple(hypothesis.token_log_probs),
            hypothesis.log_prob,
            hypothesis.score,
            hypothesis.weights,
        )


def check_data(data: TextData, log: Callable[[str], None]) -> None:
    """Say what is wrong with the data. Raises `ValueError` if it makes learning impossible."""
    if not data.train:
        raise ValueError("data.train is not set: give two line-aligned files, or one .tsv or .jsonl file")
    parts = (data.train, data.valid or None, data.test or None)
    found = check(*parts, source_key=data.source_key, target_key=data.target_key)
    if found.fatal:
        raise ValueError(f"this data can't be learnt from\n{found}")
    if not data.valid:
        raise ValueError("data.valid is not set: give two line-aligned files, or one .tsv or .jsonl file")
    if found.counts:
        kinds = ", ".join(f"{kind} ({count:,})" for kind, count in found.counts.items())
        log(f'warnings about the data: {kinds}; "attend check" shows where')


def replace_unknown(prediction: Prediction, dictionary: dict[str, str] | None = None) -> str:
    """The output with each unknown word replaced by the source word looked at most, or its entry in the dictionary.

    For word vocabularies (Jean et al. 2015, section 3.3). Raises `ValueError` for a system without attention.
    """
    if prediction.weights is None or prediction.weights.shape[1] != len(prediction.source.ids) + 1:
        raise ValueError(
            "unknown words are replaced through attention over the source, which this system does not have"
        )
    words = []
    for row, token, number in zip(prediction.weights, prediction.tokens, prediction.ids, strict=True):
        if number == UNKNOWN:
            word = prediction.source.tokens[int(row[:-1].argmax())]
            words.append((dictionary or {}).get(word, word))
        elif number != END:
            words.append(token.text)
    return " ".join(words)


def usable_pairs(paths: tuple[str, ...], data: TextData) -> tuple[list[Pair], int]:
    """The pairs of these files with text on both sides, and how many have none on one: there is nothing to measure.

    Raises `DataError` if the files can't be read, `ValueError` if no pair is left.
    """
    pairs = list(read_pairs(paths, data.source_key, data.target_key))
    usable = [pair for pair in pairs if pair.source.strip() and pair.target.strip()]
    if not usable:
        raise ValueError(f"{', '.join(paths)}: no pair has text on both sides, so there is nothing to measure")
    return usable, len(pairs) - len(usable)


def groups(lengths: Sequence[int], sentences: int, tokens: int = 4096) -> Iterator[list[int]]:
    """Places of sentences of like length, at most so many together, and of no more tokens with their padding.

    A sentence longer than that goes alone. Memory grows with the tokens of a batch, times those of an output.
    """
    order = sorted(range(len(lengths)), key=lambda place: lengths[place])
    group: list[int] = []
    for place in order:
        if group and (len(group) == sentences or (len(group) + 1) * lengths[place] > tokens):
            yield group
            group = []
        group.append(place)
    if group:
        yield group


def with_end(sentences: Sequence[Sequence[int]]) -> list[Int[np.ndarray, "token"]]:
    return [np.array([*sentence, END]) for sentence in sentences]


def sources_only(sources: Sequence[Sequence[int]], device: torch.device) -> Pairs:
    """A batch to decode from: its target is only a placeholder, which no decoder reads."""
    batch = collate(with_end(sources), [np.array([END])] * len(sources))
    return Pairs(*(part.to(device) for part in vars(batch).values()))


def device_of(system: Decoder | nn.Module | decoding.Ensemble) -> torch.device:
    first = system.members[0] if isinstance(system, decoding.Ensemble) else system
    return next(first.parameters()).device if isinstance(first, nn.Module) else torch.device("cpu")
