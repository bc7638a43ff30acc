"""Captions as they are learnt: in lower case, words and punctuation apart, and without those that can't be."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

# What may stand inside a word, between two of its letters.
INSIDE = "'’-"
# Images that a report names.
SHOWN = 3


def tidy(caption: str) -> str:
    """A caption in lower case, with punctuation and symbols apart from words, and one space between any two.

    "A dog's ball, red." is "a dog's ball , red .": so that "red." is no other word than "red".
    """
    text = unicodedata.normalize("NFC", caption).lower()
    spaced = []
    for place, character in enumerate(text):
        apart = unicodedata.category(character)[0] in "PS"
        if character in INSIDE and 0 < place < len(text) - 1:
            apart = not (text[place - 1].isalnum() and text[place + 1].isalnum())
        spaced.append(f" {character} " if apart else character)
    return " ".join("".join(spaced).split())


def fault(caption: str, longest: int) -> str | None:
    """Why a caption, as it was given, can't be learnt, if so. `longest` is in words, as `tidy` gives them."""
    for character in caption:
        if unicodedata.category(character) in ("Cc", "Cs") and not character.isspace():
            return f"the control character U+{ord(character):04X} in the caption"
    words = len(tidy(caption).split())
    if not words:
        return "an empty caption"
    return f"a caption longer than {longest} words" if words > longest else None


@dataclass(frozen=True)
class LeftOut:
    """Captions that can't be learnt: how many there were in all, and for each reason the images that they are of."""

    read: int
    images: dict[str, list[str]]

    def __str__(self) -> str:
        count = sum(map(len, self.images.values()))
        reasons = []
        for reason, names in self.images.items():
            shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
            reasons.append(f"{len(names):,} for {reason} ({shown})")
        return f"{count:,} of {self.read:,} captions left out: {'; '.join(reasons)}"


def usable(
    captions: Sequence[Sequence[str]], names: Sequence[str], longest: int
) -> tuple[list[tuple[str, ...]], LeftOut]:
    """Each image's captions, tidied, without those that can't be learnt; an image may be left with none.

    `names` are the images' in reports; where there are none, an image is called by its number, from 1.
    """
    kept: list[tuple[str, ...]] = []
    left_out: dict[str, list[str]] = {}
    for number, several in enumerate(captions):
        good = []
        for caption in several:
            reason = fault(caption, longest)
            if reason is None:
                good.append(tidy(caption))
            else:
                left_out.setdefault(reason, []).append(names[number] if names else f"image {number + 1}")
        kept.append(tuple(good))
    return kept, LeftOut(sum(map(len, captions)), left_out)
