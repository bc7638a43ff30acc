"""What a finished training's log and the size of its data suggest to change, each with the flag to change it by."""

from collections.abc import Mapping, Sequence

# (update, value) of each validation, or of each logged update.
Curve = Sequence[tuple[float, float]]

# Validations from which a trend is read, and the share of them that is the end of training.
TREND = 4
END = 0.2
# Still improving: the end brought this share of all that was gained.
GAINED = 0.05
# Overfitting: the validation loss rose by this share above its lowest.
ROSE = 0.05
# A vocabulary's entries are learnt from this many tokens each, or more; this many are advised.
SEEN = 10
ADVISED = 20
# Differences between validations of fewer examples are mostly chance.
FEW = 100


def still_improving(watched: Curve, lower: bool, epochs: int) -> list[str]:
    """Whether the watched measure was at its best at the last validation, and had been improving until then."""
    values = [-value if lower else value for _, value in watched]
    if len(values) < TREND or values[-1] < max(values):
        return []
    end = max(1, round(END * (len(values) - 1)))
    gained, all_gained = values[-1] - values[-1 - end], values[-1] - min(values)
    if gained <= GAINED * all_gained:
        return []
    share = gained / all_gained
    return [
        f"still improving at the last update (the last {end:,} of {len(values):,} validations brought {share:.0%} of"
        f" what was gained): train longer, with --training.epochs {2 * epochs}"
    ]


def overfitting(
    validation_loss: Curve, training_loss: Curve, watched_at_end: bool, dropouts: Sequence[str]
) -> list[str]:
    """Whether the validation loss rose while that of training fell.

    `watched_at_end` says that what is watched was best at the last validation all the same. `dropouts` are the
    settings of dropout.
    """
    if len(validation_loss) < TREND or watched_at_end:
        return []
    update, lowest = min(validation_loss, key=lambda point: point[1])
    _, last = validation_loss[-1]
    before, after = ([loss for at, loss in training_loss if (at > update) == late] for late in (False, True))
    fell = bool(before and after) and after[-1] < before[-1]
    if last - lowest <= ROSE * abs(lowest) or not fell:
        return []
    flags = ", ".join(f"--{name.replace('_', '-')}" for name in dropouts)
    more = f", more dropout ({flags})" if flags else ""
    return [
        f"overfitting: the validation loss was lowest at update {update:,.0f} ({lowest:.3g}) and rose to {last:.3g},"
        f" while that of training fell: give more data{more}, or stop sooner (--training.patience 3)"
    ]


def rare_entries(entries: int, tokens: int, name: str, flag: str) -> list[str]:
    """Whether a vocabulary is too large for the tokens that it is learnt from."""
    if tokens >= SEEN * entries:
        return []
    advised = max(100, int(round(tokens / ADVISED, -2)))
    if advised >= entries:
        return []
    return [
        f"the {name} vocabulary has {entries:,} entries for {tokens:,} training tokens, too few of each to learn from:"
        f" set a smaller one, with {flag} {advised}"
    ]


def flat_at_zero(watched: Curve, name: str, about_zero: float) -> list[str]:
    """Whether the watched measure never rose above what is about zero."""
    if not watched or max(value for _, value in watched) > about_zero:
        return []
    return [
        f"{name.replace('_', ' ')} stayed at about 0 in all {len(watched):,} validations, so the weights were chosen by"
        " the loss: train longer (--training.epochs), or see with attend check whether inputs and targets go together"
    ]


def few_examples(count: int, name: str) -> list[str]:
    """Whether the best weights were chosen by few examples."""
    if count >= FEW:
        return []
    return [
        f"the best weights were chosen by the {name.replace('_', ' ')} of {count:,} validation examples, where"
        " differences are mostly chance: give more with --data.valid or --data.held-out"
    ]


def known_examples(counts: Mapping[str, int]) -> list[str]:
    """Whether training has the inputs of validation examples."""
    known, count = counts.get("valid examples of inputs that training has too", 0), counts.get("validation examples", 0)
    if not known:
        return []
    return [
        f"{known:,} of {count:,} validation examples are of inputs that training has too: figures of what is memorised;"
        " attend check names them"
    ]
