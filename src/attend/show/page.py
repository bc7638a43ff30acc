"""Traces as one HTML file that opens by a double click, with the network off."""

import json
import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

from attend.attention.trace import Trace, Weights
from attend.show.reading import badges
from attend.show.words import merge


def page(traces: Sequence[Trace], title: str) -> str:
    """The HTML of a page that shows each trace: input, output, and every look, with words beside subwords.

    Nothing in it is fetched from elsewhere; text from the traces never becomes markup. The traces themselves are in the
    file as `attend.trace.v1`, in the script element "traces".
    """
    shown = [
        {
            "trace": trace.to_json(),
            "words": _words(trace),
            "badges": {name: badges(look) if isinstance(look, Weights) else [] for name, look in trace.looks.items()},
        }
        for trace in traces
    ]
    # Inside a script element only "<" could end the JSON, as "</script>" or "<!--".
    filled = {"title": escape(title), "traces": json.dumps(shown, ensure_ascii=False).replace("<", "\\u003c")}
    template = files("attend.show").joinpath("page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: filled[match[1]], template)


def frame(traces: Sequence[Trace], title: str) -> str:
    """The page as an `iframe` element to put into another page, such as a notebook: neither acts on the other.

    It is as high as its matrices, up to 45 rem, and then scrolls. Nothing in it is fetched from elsewhere.
    """
    rows = sum(len(look.steps) for trace in traces for look in trace.looks.values())
    height = min(16 + 14 * len(traces) + 1.5 * rows, 45)
    # A sandbox without "allow-same-origin": the page's script can't reach the document around it.
    return (
        f'<iframe title="{escape(title)}" sandbox="allow-scripts" srcdoc="{escape(page(traces, title))}" '
        f'style="width: 100%; height: {height:g}rem; border: 0"></iframe>'
    )


def _words(trace: Trace) -> dict[str, Any]:
    """The JSON form of each look over words; None for a look without subwords."""
    merged = {}
    for name, look in trace.looks.items():
        if isinstance(look, Weights) and (words := merge(look)).weights.shape != look.weights.shape:
            merged[name] = words
    forms = Trace(trace.input, trace.output, merged).to_json()["looks"]
    return {name: forms.get(name) for name in trace.looks}
