"""Traces as one self-contained HTML file.

Its script and style are built from `web/` into `serve/static`; `attend serve` uses the same ones.
"""

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files

from attend.attention.trace import Trace, Weights
from attend.show.reading import badges
from attend.show.slots import is_stage
from attend.show.terminal import alignment
from attend.show.words import visible

# Without scripts, looks with more weights than this are shown as an alignment, not as a table.
MOST_CELLS = 2_500


def page(traces: Sequence[Trace], title: str) -> str:
    """The HTML of a page that shows each trace: input, output, every look, media, and other parts.

    It fetches nothing from elsewhere; text from the traces is escaped. The traces are in the file as `attend.trace.v2`,
    in the script element "traces". Without scripts it shows tables.
    """
    script, style = built("explorer.js"), built("explorer.css")
    filled = {
        "policy": policy(script, style),
        "title": escape(title),
        "style": style,
        "script": script,
        # Inside a script element only "<" could end the JSON, in "</script>" or "<!--".
        "traces": json.dumps([trace.to_json() for trace in traces], ensure_ascii=False).replace("<", "\\u003c"),
        "fallback": "".join(map(plain, traces)),
    }
    template = files("attend.show").joinpath("page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: filled[match[1]], template)


def frame(traces: Sequence[Trace], title: str) -> str:
    """The page as a sandboxed `iframe` element, to embed in another page such as a notebook.

    It is as high as its matrices, up to 45 rem, and then scrolls. It fetches nothing from elsewhere.
    """
    rows = max((len(look.steps) for trace in traces for look in trace.looks.values()), default=0)
    height = min(30 + 2 * rows, 45)
    # A sandbox without "allow-same-origin": the page's script can't reach the document around it.
    return (
        f'<iframe title="{escape(title)}" sandbox="allow-scripts allow-downloads" '
        f'srcdoc="{escape(page(traces, title))}" style="width: 100%; height: {height:g}rem; border: 0"></iframe>'
    )


def built(name: str) -> str:
    """The page's script or style, built from `web/`."""
    return files("attend.serve").joinpath("static", name).read_text(encoding="utf-8")


def policy(script: str, style: str) -> str:
    """The page's Content-Security-Policy: this script, this style, and the pictures and sounds inside the page."""

    def allowed(text: str) -> str:
        return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; script-src {allowed(script)}; style-src {allowed(style)}; img-src data: blob:; "
        "media-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def plain(trace: Trace) -> str:
    """A trace as HTML without script: a table of each look, or its alignment where the table would be large."""
    parts = [f"<h2>{escape(trace.output)}</h2>", f"<p>{escape(trace.input)}</p>"]
    for name, look in trace.looks.items():
        if is_stage(name, trace.looks):
            continue
        parts.append(f"<h3>{escape(name)}</h3>")
        if isinstance(look, Weights):
            parts += [f"<p>{escape(badge)}</p>" for badge in badges(look)]
            parts.append(table(look) if look.weights.size <= MOST_CELLS else f"<pre>{escape(alignment(look))}</pre>")
            continue
        places = zip(look.steps.labels(), look.centre, look.extent, look.scale, strict=True)
        for step, (x, y), (width, height), scale in places:
            where = f"{visible(step)}: {width:.2f} by {height:.2f} at {x:.2f}, {y:.2f}, scale {scale:g}"
            parts.append(f"<p>{escape(where)}</p>")
    return f"<section>{''.join(parts)}</section>"


def table(look: Weights) -> str:
    head = "".join(f"<th>{escape(visible(label))}</th>" for label in look.memory.labels())
    rows = [f"<tr><td></td>{head}</tr>"]
    for label, weights in zip(look.steps.labels(), look.weights, strict=True):
        cells = "".join(f"<td>{weight:.2f}</td>" for weight in weights)
        rows.append(f"<tr><th>{escape(visible(label))}</th>{cells}</tr>")
    return f"<table>{''.join(rows)}</table>"
