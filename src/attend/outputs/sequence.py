"""A sequence of tokens, written step by step: a translation, a caption."""

import math
from collections import abc
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from attend import decoding, metrics
from attend.attention.trace import Token, Tokens
from attend.contract import BEGIN, END, PAD, UNKNOWN, Batch, Cells, Direction
from attend.data.codec import Unit
from attend.data.examples import TARGET, Column, Log
from attend.data.ragged import Ragged
from attend.fields.field import Fault, Field
from attend.fields.text import END_SHOWN, Text, TextField, tokens_of
from attend.outputs.output import Assessment, Figures, Result, Seen, Wanted
from attend.settings import FORMERLY, check_range

# A prediction's memory, in numbers: arrays of the vocabulary's size that each hypothesis has, and of what its score
# computes for each cell of the input.
VOCABULARIES, WIDTH = 8, 512
SPARE = 10
"""Tokens that an output may be longer than a multiple of its input, `Decoding.ratio`."""
OFTEN = 0.05
"""From this share of the targets on, the commonest is a baseline: fewer are of texts that hardly occur twice."""


@dataclass(frozen=True)
class Sequence:
    """A sequence of tokens: how it is cut into them, and how it is measured."""

    unit: Unit = "bpe"
    """What a token is: a whole word, a subword (bpe or unigram), or a character."""
    vocabulary: int = 0
    """Entries of the vocabulary, the four special ones included; 0 for one for each 100 characters of the training
    texts, from 100 to 8,000."""
    longest: int = 100
    """Longer targets (in tokens) are left out of training, and counted."""
    like: str = ""
    """The input field whose vocabulary this one shares, learnt from both together."""
    tidy: bool = False
    """Put targets in lower case, with punctuation apart from words, before they are cut."""
    normalise: bool = field(default=True, metadata={FORMERLY: False})
    """Compose characters (NFC), and leave out byte order marks and stray spaces, before targets are cut."""
    metrics: Literal["translation", "captions"] = "translation"
    """What is measured: BLEU, chrF, TER and exact match with one reference; or exact match, BLEU-4 and CIDEr-D with
    several."""
    tokenize: Literal["none", "13a", "char", "intl", "zh"] = "13a"
    """How sacreBLEU cuts translations before it counts: "none" for text that is already tokenised."""

    kind = "sequence"
    validation_search = "greedy search"

    def __post_init__(self) -> None:
        _ = self.text

    @property
    def text(self) -> Text:
        return Text(self.unit, self.vocabulary, self.longest, self.like, self.tidy, self.normalise)

    @property
    def measures(self) -> Mapping[str, Direction]:
        names = ("bleu", "exact_match") if self.metrics == "translation" else ("exact_match", "bleu4", "cider")
        return dict.fromkeys(names, "higher")

    def column(self) -> Column:
        return Column(TARGET, ("caption", "text", "transcription"), several=self.metrics == "captions")

    def kept(self) -> tuple[str, ...]:
        return self.text.kept(TARGET)

    def texts(self, targets: Iterable[Any]) -> Iterable[str]:
        return (text for target in targets for text in ((target,) if isinstance(target, str) else target))

    def learn(self, targets: Iterable[Any], log: Log, like: Field | None = None) -> "SequenceOutput":
        if like is None:
            return SequenceOutput(self, self.text.learn(self.texts(targets), log))
        assert isinstance(like, TextField), "only a text can share its vocabulary with a target"
        return SequenceOutput(self, TextField(self.text, like.codec))

    def open(self, folder: Path) -> "SequenceOutput":
        return SequenceOutput(self, self.text.open(folder, TARGET))

    def example(self, rng: Any) -> str:
        return self.text.example(rng)


@dataclass(frozen=True)
class Decoding:
    """How outputs are searched for."""

    beam: int = 5
    """Hypotheses an output keeps; 1 is greedy."""
    length_penalty: float = 1.0
    """Exponent of the length that log-probabilities are divided by: 0 for none, 1 for their mean."""
    longest: int = 0
    """Greatest length of an output, in tokens: what has not ended by then is cut; 0 for `ratio`."""
    ratio: float = 2.0
    """Greatest length of an output, as a multiple of the input's: in tokens, plus 10."""
    no_repeat_ngram: int = 0
    """Write no n-gram of this many tokens twice in an output, against outputs that go round in a loop; 0 for off."""
    no_unknown: bool = False
    """Never write <unk>."""

    def __post_init__(self) -> None:
        check_range(self, "beam", 1)
        check_range(self, "length_penalty longest ratio no_repeat_ngram", 0)


class SequenceOutput:
    """See `attend.outputs.output.Output`."""

    unit = "tokens"
    together = 64
    varies = True

    def __init__(self, settings: Sequence, field: TextField) -> None:
        self.settings, self.field = settings, field

    @property
    def measures(self) -> Mapping[str, Direction]:
        return self.settings.measures

    def singles(self, raw: Any) -> tuple[str, ...]:
        return (raw,) if isinstance(raw, str) else tuple(raw)

    def encode(self, targets: abc.Sequence[str], training: bool = False) -> list[Any | Fault]:
        return self.field.encode(targets, training)

    def column(self) -> Ragged:
        return self.field.column()

    def length(self, encoded: Any) -> int:
        return len(encoded)

    @property
    def limit(self) -> int:
        return self.field.limit

    @limit.setter
    def limit(self, tokens: int) -> None:
        self.field.limit = tokens

    def collate(self, encoded: Any) -> Cells:
        return self.field.collate(encoded)

    def sizes(self) -> Mapping[str, int]:
        return self.field.sizes()

    def join(self, systems: abc.Sequence[Any]) -> Any:
        return systems[0] if len(systems) == 1 else decoding.Ensemble(systems)

    def longest(self, batch: Batch, how: Decoding) -> int | Int[Tensor, "batch"]:
        """The greatest length of each output before it is cut, and END put behind it."""
        if how.longest:
            return how.longest
        source = next((value for value in batch.inputs.values() if isinstance(value, Cells)), None)
        if source is None:
            raise ValueError("decoding.longest must be set: the input has no length that one could be a multiple of")
        return (source.mask.sum(1) * how.ratio + SPARE).long()

    def rules(self, how: Decoding) -> dict[str, Any]:
        """What search must keep to, in decoding's terms."""
        return {
            "forbid": (PAD, BEGIN, UNKNOWN) if how.no_unknown else (PAD, BEGIN),
            "no_repeat_ngram": how.no_repeat_ngram,
            "length_penalty": how.length_penalty,
        }

    def predict(self, system: Any, batch: Batch, how: Decoding, wanted: Wanted) -> list[list[Result]]:
        longest, rules = self.longest(batch, how), self.rules(how)
        watch = None if (stop := wanted.stop) is None else lambda *_: stop()
        if wanted.samples:
            found = decoding.sample(
                system, batch, longest, wanted.samples, generator=wanted.generator, watch=watch, **rules
            )
        elif how.beam == 1 and wanted.best == 1:
            found = decoding.greedy(system, batch, longest, watch=watch, **rules)
        else:
            # Other tokens may spell the same text: of several wanted, those are left out, and others take their place.
            best = how.beam if wanted.best > 1 else 1
            found = decoding.beam_search(system, batch, longest, how.beam, best=best, watch=watch, **rules)
            if wanted.best > 1:
                found = [self.distinct(several)[: wanted.best] for several in found]
        return [[self.result(hypothesis) for hypothesis in several] for several in found]

    def distinct(self, hypotheses: abc.Sequence[decoding.Hypothesis]) -> list[decoding.Hypothesis]:
        """The first, and so the best, hypothesis of each text."""
        found: dict[str, decoding.Hypothesis] = {}
        for hypothesis in hypotheses:
            found.setdefault(self.field.codec.decode(hypothesis.tokens), hypothesis)
        return list(found.values())

    def memory(
        self, how: Decoding, wanted: Wanted, inputs: Int[np.ndarray, "example"], targets: Int[np.ndarray, "example"]
    ) -> Float[np.ndarray, "example"]:
        slots = wanted.samples or how.beam
        steps = np.maximum(targets, how.longest + 1 if how.longest else inputs * how.ratio + SPARE)
        # Each slot has several arrays as large as the vocabulary, one row of weights a step, and what a score computes.
        return 4.0 * slots * (VOCABULARIES * len(self.field.codec) + inputs * (steps + WIDTH))

    def force(
        self, system: Any, batch: Batch, how: Decoding, encoded: abc.Sequence[Any], targets: abc.Sequence[str]
    ) -> list[Result]:
        ids = [list(map(int, ids)) for ids in encoded]
        found = decoding.forced(system, batch, ids, length_penalty=how.length_penalty)
        return [self.result(hypothesis, target) for hypothesis, target in zip(found, targets, strict=True)]

    def log_probs(
        self, system: Any, batch: Batch, ids: abc.Sequence[int], stop: abc.Callable[[], None] = lambda: None
    ) -> Float[Tensor, "batch step"]:
        written = torch.tensor([list(ids)] * len(batch), device=batch.device)
        found = []
        for token, step in zip(ids, decoding.teacher_forced(system, batch, written), strict=True):
            stop()
            found.append(step.logits[:, 0].float().log_softmax(-1)[:, token])
        return torch.stack(found, 1)

    def result(self, hypothesis: decoding.Hypothesis, text: str | None = None) -> Result:
        """A search's result in text. `text` is given where the target was, to keep what no vocabulary holds."""
        spelt = self.field.codec.spell(hypothesis.tokens) if text is None else self.field.prepare(text).spelt
        tokens = tokens_of(spelt)
        if hypothesis.tokens[-1:] == [END]:
            tokens.append(Token(END_SHOWN))
        looks = {}
        if hypothesis.weights is not None:
            seen = Seen(hypothesis.weights, hypothesis.over, shape=hypothesis.shape, sampled=hypothesis.sampled)
            looks[hypothesis.over] = seen
        return Result(
            spelt.text,
            hypothesis.score,
            hypothesis.log_prob,
            tuple(tokens),
            tuple(hypothesis.tokens),
            tuple(hypothesis.token_log_probs),
            Tokens(spelt.text, tuple(tokens)),
            looks,
            hypothesis.finished,
        )

    def to_measure(
        self, how: Decoding, inputs: Int[np.ndarray, "target"], targets: Int[np.ndarray, "target"]
    ) -> Decoding:
        # Whatever its length, a target can be written: the best weights must not be those that write little.
        if how.longest:
            return replace(how, beam=1, length_penalty=0.0, longest=max(how.longest, self.settings.longest))
        needed = ((targets - SPARE) / inputs).max()
        return replace(how, beam=1, ratio=max(Decoding.ratio, math.ceil(needed)))

    def to_evaluate(self, how: Decoding, targets: Int[np.ndarray, "target"]) -> Decoding:
        return how

    def figures(self, results: abc.Sequence[Result], references: abc.Sequence[Any]) -> Figures:
        texts = [result.text for result in results]
        if self.settings.metrics == "captions":
            several = self.several(references)
            return self.watched(texts, references), {"bleu4": metrics.caption_bleu(texts, several)[1]}
        singles = [several[0] for several in self.several(references)]
        scores = metrics.corpus_scores(texts, singles, self.settings.tokenize)
        found = {"bleu": scores["bleu"], "chrf": scores["chrf"], "ter": scores["ter"]}
        return found | {"exact_match": metrics.exact_match(texts, singles)}, scores["signatures"]

    def assess(self, texts: abc.Sequence[str], references: abc.Sequence[Any]) -> Assessment:
        several = self.several(references)
        right = metrics.caption_match(texts, several)
        lower, upper = metrics.share_interval(right, len(texts))
        intervals = {"exact_match": (lower, upper)}
        if self.settings.metrics == "translation":
            bleu = metrics.bleu(self.settings.tokenize)
            intervals["bleu"] = metrics.bootstrap_interval(bleu, texts, [singles[0] for singles in several])
        text, share = metrics.commonest(several)
        if share < OFTEN:
            return Assessment({}, intervals)
        remarks = ()
        if lower <= share:
            interval = f"the 95% interval of its share of exact matches is {lower:.3f} to {upper:.3f}"
            remarks = (f"no better than always answering {text!r}, which is right of {share:.3f}: {interval}",)
        return Assessment({"baseline_majority": share}, intervals, remarks=remarks)

    def texts(self, system: Any, batch: Batch, how: Decoding) -> list[str]:
        return [best[0].text for best in self.predict(system, batch, how, Wanted())]

    def watched(self, texts: abc.Sequence[str], references: abc.Sequence[Any]) -> dict[str, float]:
        several = self.several(references)
        if self.settings.metrics == "captions":
            bleu4, _ = metrics.caption_bleu(texts, several)
            found = {"exact_match": metrics.caption_match(texts, several), "bleu4": bleu4}
            return found | {"cider": metrics.cider(texts, several)}
        singles = [references[0] for references in several]
        bleu = metrics.bleu(self.settings.tokenize)
        counts = metrics.sentence_statistics(bleu, texts, singles).sum(0)
        return {"bleu": bleu.score(counts), "exact_match": metrics.exact_match(texts, singles)}

    def several(self, references: abc.Sequence[Any]) -> list[tuple[str, ...]]:
        """The references of each output, as the targets are that were learnt from."""
        return [self.tidied(self.singles(raw)) for raw in references]

    def tidied(self, texts: abc.Sequence[str]) -> tuple[str, ...]:
        """Texts as the targets are that were learnt from."""
        return tuple(self.field.normal(texts))

    def reference(self, raw: Any) -> str | None:
        single = self.singles(raw)
        return self.tidied(single)[0] if len(single) == 1 else None

    def metric(self) -> metrics.CorpusMetric:
        """What runs are compared by."""
        return metrics.bleu(self.settings.tokenize) if self.settings.metrics == "translation" else metrics.EXACT_MATCH

    def remarks(self, targets: abc.Sequence[Any]) -> list[str]:
        if self.settings.metrics != "translation" or self.settings.tokenize == "none":
            return []
        if not metrics.looks_tokenized(targets):
            return []
        advice = "set output.tokenize to none (--output.tokenize none)"
        return [f"the targets look tokenised already, and BLEU would cut them once more: if they are, {advice}"]

    def about(self) -> str:
        return f"a target vocabulary of {self.field.about()}"

    def save(self, folder: Path) -> None:
        self.field.save(folder, TARGET)
