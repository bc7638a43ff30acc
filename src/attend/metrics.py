"""How good outputs are: pure functions over sacreBLEU, and metrics as sums over sentences.

BLEU, chrF and TER are on sacreBLEU's scale, 0 to 100, exact match is a share; higher is better, but for TER.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from jaxtyping import Int
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

# sacreBLEU's other tokenizers need a model to download, or a package that is not installed with it.
TOKENIZERS = ("13a", "intl", "char", "zh", "none")


class CorpusScores(TypedDict):
    """What a paper reports of a translated corpus; `signature` is BLEU's, `signatures` are all three by name."""

    bleu: float
    chrf: float
    ter: float
    signature: str
    signatures: dict[str, str]


@dataclass(frozen=True)
class CorpusMetric:
    """A metric of a corpus that depends on its sentences only through the sum of their statistics.

    `statistics` counts in a hypothesis and its reference; `score` takes the sums of these counts. A corpus drawn again
    from the same sentences is then scored by adding, without looking at a word.
    """

    name: str
    statistics: Callable[[str, str], Sequence[int]]
    score: Callable[[Int[np.ndarray, "statistic"]], float]


def corpus_scores(hypotheses: Sequence[str], references: Sequence[str], tokenize: str) -> CorpusScores:
    """BLEU (Papineni et al. 2002), chrF (Popović 2015) and TER (Snover et al. 2006), with their signatures.

    `tokenize` is BLEU's tokenizer, one of `TOKENIZERS`: "13a" for plain text, "none" for text tokenized already. Raises
    `ValueError` if it is another, or if hypotheses and references are none or not equally many.
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
    """The share of hypotheses that are their reference, from 0 to 1. Raises `ValueError` as `corpus_scores` does."""
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
    """What each sentence adds to the corpus. Raises `ValueError` if there are none, or not equally many."""
    check_pairs(hypotheses, references)
    return np.array([metric.statistics(*pair) for pair in zip(hypotheses, references, strict=True)])


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
    # force: sacreBLEU warns of text that looks tokenized, which is what "none" says it is.
    return BLEU(tokenize=tokenize, force=tokenize == "none")
