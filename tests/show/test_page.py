import json
import re
from html.parser import HTMLParser

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from attend.attention.trace import Grid, Named, Token, Tokens, Trace, Weights, Windows
from attend.show.page import built, frame, page


class Elements(HTMLParser):
    """The elements of a page as a browser would see them, and the text inside scripts and the title."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.texts: list[str] = []
        self.title = ""
        self.inside = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts[-1] += data
        elif self.inside == "title":
            self.title += data
        elif self.inside != "style":
            self.texts.append(data)


def embedded(html: str) -> list[dict[str, object]]:
    return json.loads(Elements(html).scripts[0])


def test_page_holds_the_traces(subwords: Weights) -> None:
    trace = Trace("a house", "Haus an", {"source": subwords}, about={"recipe": "tiny"})
    assert embedded(page([trace, trace], "title")) == [trace.to_json()] * 2


def test_without_scripts_there_are_tables(subwords: Weights) -> None:
    one = Named(("step",))
    windows = Windows(np.zeros((1, 2)), np.ones((1, 2)), np.ones(1), one)
    large = Weights(np.full((1, 3000), 1 / 3000), one, Grid(30, 100))
    looks = {"source": subwords, "image": large, "glimpse": windows}
    elements = Elements(page([Trace("a house", "Haus an", looks)], "title"))
    assert [name for name, _ in elements.found].count("table") == 1
    assert "0.88" in elements.texts
    assert "near-uniform" in elements.texts
    assert "step: 1.00 by 1.00 at 0.00, 0.00, scale 1" in elements.texts


def test_nothing_is_fetched_and_nothing_else_runs(subwords: Weights) -> None:
    html = page([Trace("a house", "Haus an", {"source": subwords})], "title")
    elements = Elements(html).found
    assert not any({"src", "href", "srcset", "action", "onclick", "onload"} & set(found) for _, found in elements)
    assert [name for name, _ in elements].count("script") == 2
    # The one address is the names of namespaces.
    assert {address.rsplit("/", 2)[0] for address in re.findall(r"https?://[^\"'\s]*", html)} == {"http://www.w3.org"}
    assert not re.search(r"\.innerHTML|insertAdjacentHTML|document\.write|eval\(|@import|url\(|XMLHttp", html)
    policy = next(found["content"] for name, found in elements if found.get("http-equiv") == "Content-Security-Policy")
    assert policy
    assert re.findall("https?:|\\*", policy) == []
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy


def test_the_sentence_stands_in_the_page() -> None:
    assert "Attention shows where the model read, not why." in page([], "title")


def test_what_is_built_fits_into_a_page() -> None:
    assert not re.search(r"</script|<!--", built("explorer.js"), re.IGNORECASE)
    assert "</style" not in built("explorer.css").lower()
    assert len(built("explorer.js").encode()) < 160 * 1024


hostile = st.text() | st.sampled_from(
    ["</script><script>alert(1)</script>", "<!--<script>", "{{traces}}", "]]>", '"><img src=x onerror=alert(1)>', "\\1"]
)


@given(hostile, hostile, hostile)
def test_hostile_text_is_inert(title: str, text: str, name: str) -> None:
    def of(title: str, text: str, name: str) -> tuple[Trace, Elements]:
        axis = Tokens(text, (Token(text, 0, len(text)), Token(name)))
        look = Weights(np.full((2, 2), 0.5), axis, axis)
        trace = Trace(text, text, {name: look}, about={name: text})
        return trace, Elements(page([trace], title))

    _, harmless = of("title", "text", "name")
    trace, elements = of(title, text, name)
    assert elements.found == harmless.found
    assert elements.scripts[1] == harmless.scripts[1]
    assert "<" not in elements.scripts[0]
    assert json.loads(elements.scripts[0])[0] == trace.to_json()
    if title.isprintable():
        assert elements.title == title


@given(hostile, hostile)
def test_a_frame_is_one_element_with_the_whole_page_in_it(title: str, text: str) -> None:
    axis = Tokens(text, (Token(text, 0, len(text)),))
    trace = Trace(text, text, {"source": Weights(np.ones((1, 1)), axis, axis)})
    ((name, attributes),) = Elements(frame([trace], title)).found
    assert name == "iframe"
    assert attributes["srcdoc"] == page([trace], title)
    # What is inside can run its script and save files, and nothing else: it is of no origin that it could reach.
    assert attributes["sandbox"] == "allow-scripts allow-downloads"
    assert not {"src", "onload", "id"} & set(attributes)


def test_a_frame_is_as_high_as_its_matrix_but_no_higher_than_a_screen() -> None:
    def height(steps: int) -> float:
        axis = Named(tuple(map(str, range(steps))))
        html = frame([Trace("", "", {"source": Weights(np.eye(steps), axis, axis)})], "")
        ((_, attributes),) = Elements(html).found
        found = re.search(r"height: ([0-9.]+)rem", attributes["style"] or "")
        assert found
        return float(found[1])

    assert height(4) - height(2) == 4
    assert height(100) == height(200) == 45


def test_the_script_is_small():
    assert len(built("explorer.js").encode()) < 150_000
