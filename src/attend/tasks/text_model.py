"""A trained model of text, and what it reaches on given pairs."""

import math
from collections.abc import Sequence
from typing import Any

from torch import nn

from attend import metrics
from attend.attention.trace import Weights
from attend.contract import Evaluation, Split
from attend.data.files import Pair
from attend.decoding import Ensemble
from attend.inspect.alignment import Links, alignment_error_rate, alignment_precision, alignment_recall, links
from attend.inspect.audit import audit
from attend.progress import Tell, say
from attend.show.words import merge
from attend.tasks.text import SPARE, Decoding, Prediction, TextData, TextToText, usable_pairs


class TextModel:
    """A trained model of text: predicts, scores, and shows where it looked. Get one from `attend.load`."""

    def __init__(self, config: Any, task: TextToText, systems: Sequence[nn.Module]) -> None:
        self.config, self.task = config, task  # config: what the run folder's config.json says
        self.systems = list(systems)
        members: list[Any] = [*systems]
        self.decoder: Any = members[0] if len(members) == 1 else Ensemble(members)

    def __repr__(self) -> str:
        sizes = sum(parameter.numel() for system in self.systems for parameter in system.parameters())
        return f"<attend model of {self.config.recipe}: {sizes:,} parameters>"

    def predict(self, source: str, beam: int | None = None) -> Prediction:
        """The best output for one text. Raises `ValueError` for an empty one, `TypeError` for what is no text."""
        if not isinstance(source, str):
            raise TypeError(f"predict takes one text, not {type(source).__name__}; predict_many takes a list of them")
        found = self.predict_many([source], beam)[0]
        if not found:
            raise ValueError("the source is empty: there is nothing to predict from")
        return found[0]

    def predict_many(
        self, sources: Sequence[str], beam: int | None = None, best: int = 1, **options: Any
    ) -> list[list[Prediction]]:
        """The `best` outputs for each text, in order; an empty list for an empty text."""
        how = self.config.settings.decoding
        how = how if beam is None else Decoding(beam, how.length_penalty, how.longest)
        return self.task.predict(self.decoder, sources, how, best, **options)

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """log p(target | source) of each pair, in nats, END included."""
        return [prediction.log_prob for prediction in self.task.force(self.decoder, pairs)]

    def attention(self, source: str, target: str | None = None) -> Prediction:
        """The output for a text, or the given target as if it were the output, with where the model looked."""
        return self.predict(source) if target is None else self.task.force(self.decoder, [(source, target)])[0]

    def evaluate(self, split: Split, report: Tell | None = None) -> Evaluation:
        """As in `attend.contract.Model`, with the run's own search."""
        settings = self.config.settings
        return evaluate(
            self, read_usable(split_paths(settings.data, split), settings.data), settings.decoding, None, report
        )


def split_paths(data: TextData, split: Split) -> tuple[str, ...]:
    """The files of a split. Raises `ValueError` if the settings name none."""
    paths: tuple[str, ...] = getattr(data, split)
    if not paths:
        raise ValueError(f"the run's settings name no data.{split}: give --data")
    return paths


def read_usable(paths: tuple[str, ...], data: TextData) -> list[Pair]:
    """The pairs with text on both sides; says how many have none. Errors are those of `usable_pairs`."""
    pairs, empty = usable_pairs(paths, data)
    if empty:
        say(f"{empty:,} of {len(pairs) + empty:,} pairs left out for an empty side")
    return pairs


def evaluate(
    model: TextModel,
    pairs: Sequence[Pair],
    how: Decoding,
    gold: Sequence[Links] | None = None,
    report: Tell | None = None,
) -> Evaluation:
    """Predict each source, score each target, and measure.

    The loss is in nats a target token, END included. Figures named attention_... are of the outputs' attention, over
    tokens. With gold links for each pair there are figures of the alignment of the given targets, over words.
    """
    task, sources, references = model.task, [pair.source for pair in pairs], [pair.target for pair in pairs]
    outputs = [best[0] for best in task.predict(model.decoder, sources, how, report=report)]
    hypotheses = [output.text for output in outputs]
    scores = metrics.corpus_scores(hypotheses, references, task.data.tokenize)
    given = task.force(model.decoder, [(pair.source, pair.target) for pair in pairs])
    long = sum(len(one.token_log_probs) > (len(one.source.ids) + 1) * how.longest + SPARE for one in given)
    if long:
        said = f"{long:,} of {len(given):,} references are longer than an output may be"
        say(f"{said}: decoding.longest {how.longest:g} times the source, plus {SPARE} tokens")
    loss = -sum(target.log_prob for target in given) / sum(len(target.token_log_probs) for target in given)
    figures = {
        "bleu": scores["bleu"],
        "chrf": scores["chrf"],
        "ter": scores["ter"],
        "exact_match": metrics.exact_match(hypotheses, references),
        "loss": loss,
        "perplexity": math.exp(min(loss, 700.0)),
    }
    seen = [look for output in outputs if (look := source_look(output)) is not None and look.weights.size]
    if seen:
        figures |= {
            f"attention_{name.replace(' ', '_').replace('-', '_')}": value for name, value in audit(seen).items()
        }
    if gold is not None:
        figures |= alignment_figures(given, gold)
    return Evaluation(hypotheses, figures, references, scores["signatures"])


def alignment_figures(given: Sequence[Prediction], gold: Sequence[Links]) -> dict[str, float]:
    """How well the words that the model looked at most, as it read the given targets, agree with gold links."""
    aligned = []
    for number, (target, answer) in enumerate(zip(given, gold, strict=True), start=1):
        look = source_look(target)
        if look is None:
            raise ValueError("this system does not look at the source's words, so there is no alignment to measure")
        sizes = len(target.source.text.split()), len(target.text.split())
        if any(link[0] >= sizes[0] or link[1] >= sizes[1] for link in answer.possible):
            raise ValueError(f"pair {number} has {sizes[0]} and {sizes[1]} words, but its gold links go beyond them")
        aligned.append(links(merge(look)))
    return {
        "alignment_error_rate": alignment_error_rate(aligned, gold),
        "alignment_precision": alignment_precision(aligned, gold),
        "alignment_recall": alignment_recall(aligned, gold),
    }


def source_look(prediction: Prediction) -> Weights | None:
    """Where a prediction looked in the source's tokens; None where the system does not look at them."""
    look = prediction.trace().looks.get("source")
    return look if isinstance(look, Weights) and look.memory.kind == "tokens" else None
