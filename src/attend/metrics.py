"""Metrics of outputs: pure functions over sacreBLEU, metrics as sums over sentences, and CIDEr for captions.

BLEU, chrF and TER are on sacreBLEU's scale, 0 to 100, CIDEr from 0 to 10, exact match is a share; higher is better,
except for TER.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NamedTuple, TypedDict

import numpy as np
from jaxtyping import Float, Int
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

# sacreBLEU's other tokenizers need a model to download, or a package that is not installed with it.
TOKENIZERS = ("13a", "intl", "char", "zh", "none")

# Quantile of the normal distribution that leaves 2.5% above it.
NORMAL_95 = 1.959964

Interval = tuple[float, float]
"""The ends of a 95% confidence interval."""
Confusion = Mapping[str, Mapping[str, int]]
"""How often each class was answered, by the class that was right; pairs that never occur are left out."""


class CorpusScores(TypedDict):
    """The metrics that papers report for translation; `signature` is BLEU's, `signatures` are all three by name."""

    bleu: float
    chrf: float
    ter: float
    signature: str
    signatures: dict[str, str]


@dataclass(frozen=True)
class CorpusMetric:
    """A corpus metric that depends on its sentences only through the sum of their statistics.

    `statistics` counts in a hypothesis and its reference; `score` takes the sums of these counts. So a bootstrap sample
    is scored by adding counts.
    """

    name: str
    statistics: Callable[[str, str], Sequence[int]]
    score: Callable[[Int[np.ndarray, "statistic"]], float]


def corpus_scores(hypotheses: Sequence[str], references: Sequence[str], tokenize: str) -> CorpusScores:
    """BLEU (Papineni et al. 2002), chrF (Popović 2015) and TER (Snover et al. 2006), with their signatures.

    `tokenize` is BLEU's tokenizer, one of `TOKENIZERS`: "13a" for plain text, "none" for text tokenized already. Raises
    `ValueError` if it is another, or if hypotheses and references are empty or not equally many.
    """
    check_pairs(hypotheses, references)
    metrics = {"bleu": _sacrebleu(tokenize), "chrf": CHRF(), "ter": TER()}
    scores = {name: metric.corpus_score(hypotheses, [references]).score for name, metric in metrics.items()}
    signatures = {name: str(metric.get_signature()) for name, metric in metrics.items()}
    return CorpusScores(
        bleu=scores["bleu"],
        chrf=scores["chrf"],
        ter=scores["ter"],
        signature=signatures["bleu"],
        signatures=signatures,
    )


def exact_match(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """The share of hypotheses equal to their reference, from 0 to 1. Raises `ValueError` as `corpus_scores` does."""
    check_pairs(hypotheses, references)
    return sum(map(str.__eq__, hypotheses, references)) / len(references)


def bleu(tokenize: str) -> CorpusMetric:
    """BLEU from the sums of lengths, matched n-grams and n-grams; equal to that of `corpus_scores`."""
    metric = _sacrebleu(tokenize)

    def statistics(hypothesis: str, reference: str) -> list[int]:
        counts = metric.corpus_score([hypothesis], [[reference]])
        return [counts.sys_len, counts.ref_len, *counts.counts, *counts.totals]

    def score(sums: Int[np.ndarray, "statistic"]) -> float:
        system_length, reference_length, *counts = sums.tolist()
        orders = len(counts) // 2
        return BLEU.compute_bleu(
            correct=counts[:orders],
            total=counts[orders:],
            sys_len=system_length,
            ref_len=reference_length,
            smooth_method=metric.smooth_method,
            smooth_value=metric.smooth_value,
        ).score

    return CorpusMetric("BLEU", statistics, score)


EXACT_MATCH = CorpusMetric(
    "exact match",
    statistics=lambda hypothesis, reference: (int(hypothesis == reference), 1),
    score=lambda sums: float(sums[0] / sums[1]),
)


ERROR = CorpusMetric(
    "error",
    statistics=lambda output, reference: (int(output != reference), 1),
    score=lambda sums: float(sums[0] / sums[1]),
)


def sentence_statistics(
    metric: CorpusMetric, hypotheses: Sequence[str], references: Sequence[str]
) -> Int[np.ndarray, "sentence statistic"]:
    """The statistics of each sentence. Raises `ValueError` if there are none, or not equally many."""
    check_pairs(hypotheses, references)
    return np.array([metric.statistics(*pair) for pair in zip(hypotheses, references, strict=True)])


def bootstrap(
    metric: CorpusMetric, runs: Sequence[Int[np.ndarray, "sentence statistic"]], samples: int, seed: int
) -> Float[np.ndarray, "sample run"]:
    """The score of each run on corpora of the same size drawn with replacement, the same sentences for every run.

    Raises `ValueError` if `samples` is below 1.
    """
    if samples < 1:
        raise ValueError(f"samples is {samples}; draw at least 1, and 1000 for figures to report")
    generator = np.random.default_rng(seed)
    sentences = len(runs[0])
    scores = np.empty((samples, len(runs)))
    for sample in scores:
        drawn = generator.integers(sentences, size=sentences)
        sample[:] = [metric.score(statistics[drawn].sum(axis=0)) for statistics in runs]
    return scores


def bootstrap_interval(
    metric: CorpusMetric, hypotheses: Sequence[str], references: Sequence[str], samples: int = 1000, seed: int = 0
) -> Interval:
    """The percentile bootstrap's 95% interval of a corpus score. Raises `ValueError` as `corpus_scores` does."""
    scores = bootstrap(metric, [sentence_statistics(metric, hypotheses, references)], samples, seed)
    lower, upper = np.quantile(scores, (0.025, 0.975))
    return float(lower), float(upper)


def share_interval(share: float, count: int) -> Interval:
    """The 95% interval of a share of `count` examples (Wilson 1927).

    Unlike the bootstrap's it is not of width zero where all examples, or none, are right.

    >>> [round(end, 3) for end in share_interval(1.0, 27)]
    [0.875, 1.0]
    """
    squared = NORMAL_95**2
    centre = (share + squared / (2 * count)) / (1 + squared / count)
    half = NORMAL_95 / (1 + squared / count) * math.sqrt(share * (1 - share) / count + squared / (4 * count**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def commonest(references: Sequence[Sequence[str]]) -> tuple[str, float]:
    """The text that is a reference of most inputs, each with one or several, and the share of these inputs."""
    counts = Counter(text for several in references for text in dict.fromkeys(several))
    text, count = counts.most_common(1)[0]
    return text, count / len(references)


def confusion_of(answers: Sequence[str], references: Sequence[str]) -> Confusion:
    """The confusion matrix, in the order of the classes' names. Raises `ValueError` as `corpus_scores` does."""
    check_pairs(answers, references)
    counts = Counter(zip(references, answers, strict=True))
    found: dict[str, dict[str, int]] = {reference: {} for reference in sorted(set(references))}
    for (reference, answer), count in sorted(counts.items()):
        found[reference][answer] = count
    return found


def balanced_accuracy(confusion: Confusion) -> float:
    """The mean over the classes of the share of their examples that are right."""
    recalls = [row.get(reference, 0) / sum(row.values()) for reference, row in confusion.items()]
    return sum(recalls) / len(recalls)


def check_pairs(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    """Raise `ValueError` unless each hypothesis has its reference, and there is at least one."""
    if len(hypotheses) != len(references):
        raise ValueError(
            f"{len(hypotheses)} hypotheses for {len(references)} references; give one hypothesis for each reference"
        )
    if not references:
        raise ValueError("no hypotheses to score; give at least one, with its reference")


def _sacrebleu(tokenize: str) -> BLEU:
    if tokenize not in TOKENIZERS:
        raise ValueError(
            f"tokenize is {tokenize!r}; choose one of {', '.join(TOKENIZERS)} "
            "(for Japanese: char, or none over text tokenized beforehand)"
        )
    # force: no warnings of text that looks tokenized; training gives one, with advice (`looks_tokenized`).
    return BLEU(tokenize=tokenize, force=True)


def looks_tokenized(texts: Sequence[str]) -> bool:
    """Whether a tenth of the texts or more end in a full stop after a space, as tokenizers leave it."""
    return bool(texts) and sum(text.endswith(" .") for text in texts) >= len(texts) / 10


def caption_bleu(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[float, str]:
    """BLEU-4 of a corpus of captions, each with one reference or several, and sacreBLEU's signature.

    Texts are split into words at spaces alone; nothing is lower-cased. Raises `ValueError` as `corpus_scores` does, and
    if an image has no reference.
    """
    check_captions(hypotheses, references)
    metric = _sacrebleu("none")
    # Images have different numbers of references: sacreBLEU skips None.
    streams: Any = [list(stream) for stream in zip_longest(*references)]
    return metric.corpus_score(hypotheses, streams).score, str(metric.get_signature())


def caption_match(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """The share of captions that are one of their image's references. Raises `ValueError` as `caption_bleu` does."""
    check_captions(hypotheses, references)
    return sum(hypothesis in several for hypothesis, several in zip(hypotheses, references, strict=True)) / len(
        references
    )


def cider(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """CIDEr-D (Vedantam et al. 2015): what the COCO evaluation, and so most papers, call CIDEr.

    The TF-IDF-weighted n-gram similarity of a caption to its image's references. With g(s) the n-grams' counts in s
    times log(images / images with it in a reference), l(s) the n-grams in s, and the mean over n = 1 to 4,

        10 / references sum_r exp(-(l(c) - l(r))^2 / (2 6^2)) min(g(c), g(r)) . g(r) / (|g(c)| |g(r)|)

    As in the authors' code, counts are not divided by a text's length, and l counts bigrams for every n. Words are
    split at spaces; the authors' code first tokenises, lower-cases and drops punctuation, without stemming. From 0 to
    10; for a single image it is 0, as every n-gram is in all images. Raises `ValueError` as `caption_bleu` does.
    """
    check_captions(hypotheses, references)
    of_references = [[ngrams(reference) for reference in several] for several in references]
    images: Counter[tuple[str, ...]] = Counter()
    for several in of_references:
        images.update(set().union(*several))
    log_images = math.log(len(references))
    score = 0.0
    for hypothesis, several in zip(hypotheses, of_references, strict=True):
        candidate = weighted(ngrams(hypothesis), images, log_images)
        score += sum(agreement(candidate, weighted(counts, images, log_images)) for counts in several) / len(several)
    return 10 * score / len(references)


class Weighted(NamedTuple):
    """A text's n-grams with their weights, for each n from 1 to 4, their norms, and the number of bigrams."""

    vectors: list[dict[tuple[str, ...], float]]
    norms: list[float]
    pairs: int


def ngrams(text: str) -> Counter[tuple[str, ...]]:
    """How often each sequence of 1 to 4 words is in a text."""
    words = text.split()
    return Counter(tuple(words[i : i + n]) for n in range(1, 5) for i in range(len(words) - n + 1))


def weighted(counts: Counter[tuple[str, ...]], images: Counter[tuple[str, ...]], log_images: float) -> Weighted:
    vectors: list[dict[tuple[str, ...], float]] = [{} for _ in range(4)]
    for ngram, count in counts.items():
        vectors[len(ngram) - 1][ngram] = count * (log_images - math.log(max(1, images[ngram])))
    norms = [math.sqrt(sum(value**2 for value in vector.values())) for vector in vectors]
    return Weighted(vectors, norms, sum(count for ngram, count in counts.items() if len(ngram) == 2))


def agreement(candidate: Weighted, reference: Weighted) -> float:
    """The mean over n of a candidate's clipped cosine with a reference, times the penalty for another length."""
    total = 0.0
    for mine, its, norm, its_norm in zip(
        candidate.vectors, reference.vectors, candidate.norms, reference.norms, strict=True
    ):
        if norm and its_norm:
            shared = sum(min(value, its.get(ngram, 0.0)) * its.get(ngram, 0.0) for ngram, value in mine.items())
            total += shared / (norm * its_norm)
    return total / 4 * math.exp(-((candidate.pairs - reference.pairs) ** 2) / (2 * 6**2))


def check_captions(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    """Raise `ValueError` unless each caption has references, and there is at least one."""
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} captions for {len(references)} images; give one caption for each image")
    if not references:
        raise ValueError("no captions to score; give at least one, with its references")
    for number, several in enumerate(references, start=1):
        if not several:
            raise ValueError(f"image {number} has no reference to score its caption by")
