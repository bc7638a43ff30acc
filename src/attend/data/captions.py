"""Normalisation of captions: lower case, with punctuation separated."""

import re
import unicodedata

# What may stand inside a word, between two of its letters.
INSIDE = "'’-"
# What is normal already.
PLAIN = re.compile("[a-z0-9]+(?: [a-z0-9]+)*")
# What stands apart in a text of ASCII characters in lower case.
APART = re.compile(r"(?<![a-z0-9])['-]|['-](?![a-z0-9])|[!-&(-,./:-@\[-`{-~]")


def tidy(caption: str) -> str:
    """A caption in lower case, with punctuation and symbols separated from words by single spaces.

    "A dog's ball, red." becomes "a dog's ball , red .", so that "red." and "red" are the same word.
    """
    if PLAIN.fullmatch(caption):
        return caption
    if caption.isascii():  # as below, but fast
        return " ".join(APART.sub(r" \g<0> ", caption.lower()).split())
    text = unicodedata.normalize("NFC", caption).lower()
    spaced = []
    for place, character in enumerate(text):
        apart = unicodedata.category(character)[0] in "PS"
        if character in INSIDE and 0 < place < len(text) - 1:
            apart = not (text[place - 1].isalnum() and text[place + 1].isalnum())
        spaced.append(f" {character} " if apart else character)
    return " ".join("".join(spaced).split())
