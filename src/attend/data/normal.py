"""How texts are normalised before they are cut into tokens: those that are learnt from, and all that are read later.

Characters are composed (Unicode's NFC), byte order marks are left out, and so is white space at the ends; each run of
spaces, tabs and line ends inside is one space. Other spaces, such as no-break ones, are typography, and stay.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

BYTE_ORDER_MARK = "\ufeff"
WHITE_SPACE = re.compile(r"[ \t\n\v\f\r]+")
# What a text that is normal has nowhere, if it stands between two line ends.
IRREGULAR = ("  ", "\n ", " \n", "\t", "\r", "\v", "\f", BYTE_ORDER_MARK)
# Texts looked through at a time.
CHUNK = 1024


def normalised(text: str) -> str:
    """
    >>> normalised("\\ufeff a  dog\\t")
    'a dog'
    """
    spaced = WHITE_SPACE.sub(" ", text.replace(BYTE_ORDER_MARK, "")).strip(" ")
    return unicodedata.normalize("NFC", spaced)


def normalised_together(texts: Sequence[str]) -> Sequence[str]:
    """Many texts, fast where all are normal already."""
    joined = "\n".join(["", *texts, ""])
    spaced = joined.count("\n") == len(texts) + 1 and not any(mark in joined for mark in IRREGULAR)
    if spaced and unicodedata.is_normalized("NFC", joined):
        return texts
    return [normalised(text) for text in texts]


def normalised_each(texts: Iterable[str]) -> Iterator[str]:
    """As `normalised_together`, of a stream of texts."""
    rest = iter(texts)
    while chunk := list(islice(rest, CHUNK)):
        yield from normalised_together(chunk)
