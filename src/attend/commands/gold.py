"""Word alignments that people made, for evaluate and show."""

from typing import TYPE_CHECKING

from attend.commands.options import GoldForm
from attend.data.files import DataError

if TYPE_CHECKING:
    from attend.inspect.alignment import Links


def read_gold(path: str, form: GoldForm, sentences: int) -> "list[Links]":
    """The gold links of each of these lines. Raises `DataError` for a file that has not as many."""
    from attend.inspect.alignment import read_naacl, read_pharaoh

    if form == "naacl":
        return read_naacl(path, sentences)
    gold = read_pharaoh(path, 1 if form == "pharaoh-1" else 0)
    if len(gold) < sentences or any(links.possible for links in gold[sentences:]):
        raise DataError(path, f"{len(gold)} lines for {sentences} examples", "give a line of links for each example")
    return gold
