"""What the page shows of traces of every kind, in a real browser."""

import json
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from graphlib import TopologicalSorter
from pathlib import Path

import golden
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from attend.attention.trace import (
    Alternative,
    Evidence,
    Gold,
    Intervention,
    Named,
    Picture,
    PictureEachStep,
    Tokens,
    Trace,
    Weights,
    Windows,
)
from attend.data.image import as_data_uri
from attend.show.formats import write_nematus
from attend.show.page import frame
from attend.show.reading import badges
from attend.show.words import merge

Open = Callable[..., Page]
ALL_VIEWS = "v=story.matrix.arcs.strips.picture.drawing.windows.alternatives.beam.evidence.difference"


def test_a_story_has_a_bar_for_each_hop_beside_each_sentence(opened: Open) -> None:
    page = opened(golden.hops())
    expect(page.locator("attend-matrix")).to_have_count(0)
    story = page.locator("attend-story")
    expect(story.locator("thead th")).to_have_text(["hop 1", "hop 2", "hop 3"])
    expect(story.locator("tbody th")).to_have_text(
        ["Mary took the milk.", "John went to the hall.", "Mary went to the garden.", "John left."]
    )
    first = story.locator("tbody tr").nth(0).locator("td")
    expect(first.locator(".figure")).to_have_text(["0.90", "0.10", "0.02"])
    expect(story.locator("td.most .figure")).to_have_text(["0.90", "0.80", "0.95"])
    expect(story.locator("tfoot td")).to_have_text(["garden 0.60", "garden 0.70", "garden 0.95"])
    story.locator("tbody tr").nth(2).locator("td").nth(1).hover()
    expect(story.locator("td.here")).to_have_count(1)


@pytest.mark.parametrize("kind", golden.EVERY)
@pytest.mark.parametrize("unit", ["token", "word"])
def test_every_kind_is_drawn(opened: Open, kind: str, unit: str) -> None:
    trace = golden.EVERY[kind]()
    for name in trace.looks or [""]:
        page = opened(trace, address=f"{ALL_VIEWS}&u={unit}" if len(trace.looks) < 2 else f"{ALL_VIEWS}&l={name}")
        expect(page.locator("article")).to_have_count(1)
        look = trace.looks.get(name)
        if isinstance(look, Weights):
            if kind == "story":
                expect(page.locator("attend-story tbody tr")).to_have_count(len(look.memory))
                continue
            drawing = "canvas" if len(look.memory) > 60 else "svg"
            # The matrix, and its legend or its light.
            expect(page.locator(f"attend-matrix {drawing}")).to_have_count(2)
        elif kind in ("drawing", "tracking"):
            expect(page.locator("attend-drawing .stage .window")).to_have_count(2)
        elif look is not None:
            expect(page.locator("attend-windows .window")).to_have_count(len(look.steps))
        else:
            expect(page.get_by_text("This system has no attention")).to_be_visible()
    assert page.locator("img").count() == 0


def test_a_picture_that_was_looked_at_nowhere_is_shown_with_its_answers(opened: Open) -> None:
    page = opened(golden.whole())
    expect(page.get_by_role("img", name="The picture that was given")).to_be_visible()
    assert page.locator(".thought").all_inner_texts() == ["house\n0.80", "sun\n0.20"]
    assert page.locator(".sentence.output").inner_text() == "house"
    assert page.get_by_text("Point at").count() == 0


def numbers(page: Page) -> np.ndarray:
    rows = page.locator("table.numbers tbody tr").all()
    return np.array([[float(text) for text in row.locator("td").all_inner_texts()] for row in rows])


@pytest.mark.parametrize("kind", ["subwords", "right to left"])
def test_words_and_badges_are_those_of_python(opened: Open, kind: str) -> None:
    trace = golden.EVERY[kind]()
    look = trace.looks["source"]
    assert isinstance(look, Weights)
    np.testing.assert_allclose(numbers(opened(trace, address="t=1&u=token")), look.weights, atol=6e-4)
    np.testing.assert_allclose(numbers(opened(trace, address="t=1&u=word")), merge(look).weights, atol=6e-4)


def axes(look: Weights) -> list[str]:
    assert isinstance(look.steps, Tokens)
    assert isinstance(look.memory, Tokens)
    return [look.steps.text, look.memory.text]


@pytest.mark.parametrize("name", ["premise", "hypothesis"])
def test_rows_that_are_another_input_have_its_name_on_every_view(opened: Open, name: str) -> None:
    trace = golden.entailment(two_way=True)
    look = trace.looks[name]
    assert isinstance(look, Weights)
    other = "hypothesis" if name == "premise" else "premise"
    page = opened(trace)
    page.get_by_role("group", name="Look").get_by_role("button", name=name).click()
    expect(page.locator("attend-matrix .legend")).to_contain_text(f"rows: {other}columns: {name}")
    label = f"Alignment matrix of {len(look.steps)} cells of {other} by {len(look.memory)} cells of {name}"
    expect(page.get_by_role("application", name=label)).to_be_visible()
    texts = page.locator("attend-matrix svg text").all_text_contents()
    assert texts[:2] == [f"{name} →", f"{other} ↓"]
    assert {*look.steps.labels(), *look.memory.labels()} <= set(texts)
    heads = page.locator("attend-arcs svg text").all_text_contents()
    assert heads[:2] == [f"looked at: {name}", f"looking: {other}"]
    assert heads[2:] == [*look.memory.labels(), *look.steps.labels()]
    # Both sentences can be moved through by keyboard, and say what they are.
    expect(page.locator(".sentence .side")).to_have_text(["premise", "hypothesis", "answer"])
    page.get_by_role("application", name=f"{other}: {axes(look)[0]}").focus()
    page.keyboard.press("ArrowRight")
    word, strongest = look.steps.labels()[1], look.memory.labels()[int(look.weights[1].argmax())]
    expect(page.locator("[role=status]")).to_have_text(re.compile(f"^“{word}” reads “{strongest}” 0"))
    page.get_by_role("application", name=f"{name}: {axes(look)[1]}").focus()
    page.keyboard.press("Home")
    expect(page.locator("[role=status]")).to_contain_text(f"“{look.memory.labels()[0]}” is read by")
    np.testing.assert_allclose(numbers(opened(trace, address=f"t=1&l={name}")), look.weights, atol=6e-4)


@pytest.mark.parametrize("kind", ["entailment", "two-way", "at once"])
def test_an_answer_is_shown_with_the_probability_of_each(opened: Open, kind: str) -> None:
    page = opened(golden.EVERY[kind](), address="v=alternatives.matrix")
    answer = page.locator(".sentence.output")
    expect(answer).to_have_text(re.compile("^answer entailment probability 0.71; neutral 0.21, contradiction 0.08$"))
    alternatives = page.locator("attend-alternatives")
    expect(alternatives).to_contain_text("What it thought")
    assert alternatives.locator(".figure").all_inner_texts() == ["0.080", "0.710", "0.210"]
    # Another row leaves it as it is, and a click on a word asks for no other word.
    page.locator("attend-matrix .scroll").focus()
    page.keyboard.press("ArrowDown")
    expect(alternatives).to_contain_text("What it thought")
    assert alternatives.locator("button:not(.plain), input").count() == 0


def test_what_needs_steps_of_the_output_is_not_there_for_other_rows(opened: Open) -> None:
    page = opened(golden.entailment(), address=ALL_VIEWS)
    expect(page.locator("attend-matrix")).to_have_count(1)
    expect(page.locator("attend-why")).to_have_count(0)
    expect(page.get_by_role("button", name="Why?")).to_have_count(0)
    expect(page.locator("attend-strips")).to_contain_text("Spread")
    expect(page.locator("attend-strips").get_by_text("Probability")).to_have_count(0)
    page.goto(page.url.replace(ALL_VIEWS, "v=matrix.strips"))
    page.locator(".sentence.rows .piece").nth(1).click()
    expect(page.locator("attend-alternatives")).to_have_count(0)
    page.keyboard.press("y")
    expect(page.locator("attend-why")).to_have_count(0)


def test_one_look_for_an_answer_has_its_name_and_its_evidence(opened: Open) -> None:
    page = opened(golden.at_once(), address="v=matrix.evidence.strips")
    expect(page.locator(".sentence .side")).to_have_text(["premise", "hypothesis", "answer"])
    expect(page.locator("attend-matrix svg").get_by_text("entailment", exact=True)).to_be_visible()
    expect(page.locator("attend-strips").get_by_text("Probability")).to_have_count(1)
    expect(page.locator("attend-why")).to_contain_text("For “entailment”")
    expect(page.get_by_role("region", name="Other attention")).to_have_count(0)
    trace = golden.at_once()
    back = Weights(
        np.full((1, 5), 0.2), Named(("1",)), golden.tokens("animals are outside .", ["animals", "are", "outside", "."])
    )
    page = opened(replace(trace, looks={**trace.looks, "hypothesis": back}), address="v=evidence&l=hypothesis")
    expect(page.locator("attend-why")).to_contain_text("is told of the look “premise”")


def test_lines_of_a_single_text_are_no_inputs_with_names(opened: Open) -> None:
    memory, steps = golden.tokens("who: a dog\nwhat: runs", ["who", "a", "dog", "runs"]), golden.tokens("x", ["x"])
    page = opened(Trace(memory.text, "x", {"source": Weights(golden.peaked(2, 5, [1, 4]), steps, memory)}))
    expect(page.locator(".sentence")).to_have_count(2)
    expect(page.locator(".sentence .side")).to_have_count(0)


def test_a_look_of_an_input_at_itself_is_no_row_a_step_either(opened: Open) -> None:
    trace = golden.subwords()
    look = trace.looks["source"]
    assert isinstance(look, Weights)
    inside = Weights(golden.peaked(10, 10, list(range(10))), look.memory, look.memory)
    page = opened(replace(trace, looks={"self": inside}, gold={}, evidence=None), address=f"{ALL_VIEWS}&u=token")
    expect(page.locator(".sentence")).to_have_count(3)
    expect(page.locator(".sentence.output")).to_have_text(trace.output)
    expect(page.locator("attend-alternatives")).to_have_count(0)
    expect(page.locator("attend-strips").get_by_text("Probability")).to_have_count(0)


@pytest.mark.parametrize("name", ["even", "still"])
def test_badges_are_those_of_python(opened: Open, name: str) -> None:
    trace = golden.odd()
    look = trace.looks[name]
    assert isinstance(look, Weights)
    page = opened(trace, address=f"l={name}")
    assert page.locator(".badges .badge").all_inner_texts() == badges(look) != []
    if name == "even":
        expect(page.locator(".bar .odd").first).to_be_visible()


def test_pointing_lights_the_same_place_in_every_view(opened: Open) -> None:
    page = opened(golden.subwords(), address="u=word")
    page.locator(".sentence.output .piece").nth(1).hover()
    expect(page.locator(".bar-said")).to_contain_text("“hund” reads “dog”")
    expect(page.locator(".sentence.source .piece.best")).to_have_text("dog")
    expect(page.locator("attend-arcs path.faded")).not_to_have_count(0)
    expect(page.locator("attend-strips .bar.here")).to_have_count(2)
    assert page.locator("attend-matrix svg g rect").count() == 1
    page.locator(".sentence.source .piece").nth(2).hover()
    expect(page.locator(".bar-said")).to_contain_text("“runs” is read by “rennt”")


def test_pins_stay_and_escape_takes_them_away(opened: Open) -> None:
    page = opened(golden.subwords(), address="u=word")
    page.locator(".sentence.output .piece").nth(2).click()
    page.mouse.move(5, 5)
    expect(page.locator(".bar-said")).to_contain_text("“rennt” reads “runs”")
    assert "p=2_-1" in page.url
    page.locator("attend-matrix .scroll").focus()
    page.keyboard.press("Escape")
    expect(page.locator(".bar-said")).to_contain_text("Point at a word")
    assert "p=" not in page.url


def test_escape_and_other_keys_work_wherever_the_focus_is(opened: Open) -> None:
    page = opened(golden.subwords(), address="u=word&v=matrix.beam")
    page.locator(".sentence.output .piece").nth(2).click()
    assert "p=2_-1" in page.url
    expect(page.locator(".sentence.output .piece").nth(2)).to_have_class(re.compile("pinned"))
    page.keyboard.press("Escape")
    assert "p=" not in page.url
    page.keyboard.press("t")
    page.locator("table.numbers td").nth(10).hover()
    expect(page.locator(".bar-said")).to_contain_text("reads")
    expect(page.locator("table.numbers .here")).to_have_count(2)
    page.locator("attend-beam [tabindex]").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("details.menu summary").click()
    page.keyboard.press("Escape")
    expect(page.locator("details.menu[open]")).to_have_count(0)


def test_a_node_that_is_not_the_outputs_lights_none_of_its_steps(opened: Open) -> None:
    page = opened(golden.subwords(), address="v=beam.matrix")
    nodes = page.locator("attend-beam .node")
    for text, lit in ((" hund", 1), (" Hund", 0)):
        nodes.filter(has_text=re.compile(f"^“{text.strip()}”")).first.hover()
        expect(page.locator(".sentence.output .piece.here")).to_have_count(lit)
    page.mouse.move(5, 5)
    expect(page.locator("attend-beam .on-path")).to_have_count(0)
    # A node of the output that was chosen leaves the matrix as it was up to there.
    nodes.filter(has_text=re.compile("^“hund”")).first.click()
    expect(page.locator("attend-matrix .not-yet")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("attend-matrix .not-yet")).to_have_count(0)


def test_an_address_with_a_pin_opens_there(opened: Open) -> None:
    page = opened(golden.subwords(), address="u=word&p=1_1.2_-1")
    expect(page.locator(".bar-said")).to_contain_text("“rennt” reads “runs”")
    page = opened(golden.subwords(), address="u=word&p=999_999")
    expect(page.locator(".bar-said")).to_contain_text("Point at a word")


def test_the_keyboard_reaches_everything(opened: Open) -> None:
    page = opened(golden.subwords(), address="v=matrix.arcs.strips.beam.evidence.alternatives&u=word")
    said = page.locator("[role=status]")
    reached: set[str] = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.textContent")
        reached.add(name.split(".")[0].strip())
    for name in ("Keys", "Matrix", "words", "Alignment matrix of 7 steps by 8 cells", "SVG", "PNG"):
        assert name in reached
    assert any(name.startswith("Arcs between") for name in reached)
    assert any(name.startswith("Beam search tree") for name in reached)
    page.locator("attend-matrix .scroll").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expect(said).to_have_text(re.compile("^“runs” 0\\.\\d+\\. “hund” reads “dog” 0\\.\\d+"))
    page.keyboard.press("Enter")
    expect(said).to_have_text(re.compile("^Pinned"))
    page.keyboard.press("End")
    page.keyboard.press("PageDown")
    expect(said).to_have_text(re.compile("^“</s>” 0\\.\\d+\\. “</s>” reads"))
    page.keyboard.press("t")
    expect(page.locator("table.numbers")).to_be_visible()
    page.locator("attend-strips [tabindex]").first.focus()
    page.keyboard.press("t")
    expect(page.locator("table.numbers")).to_have_count(0)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("attend-beam [tabindex]").focus()
    for key in ("ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.locator(".beam-said")).to_have_text(re.compile("^“hund”, step 2, kept: log p -0.20"))


def test_the_keyboard_moves_through_the_words(opened: Open) -> None:
    page = opened(golden.subwords(), address="u=word")
    said = page.locator("[role=status]")
    page.locator(".sentence.output .words").focus()
    page.keyboard.press("ArrowRight")
    expect(said).to_have_text(re.compile("“hund” reads “dog”"))
    expect(page.locator(".sentence.source .piece.best")).to_have_text("dog")
    page.keyboard.press("Enter")
    assert "p=1_-1" in page.url
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    page.locator(".sentence.source .words").focus()
    for key in ("End", "ArrowLeft", "ArrowLeft", "Home", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expect(said).to_have_text(re.compile("“runs” is read by “rennt”"))


def test_in_words_written_from_the_right_the_left_arrow_goes_on(opened: Open) -> None:
    trace = golden.right_to_left()
    page = opened(trace)
    page.locator(".sentence.source .words").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".sentence.source .piece").nth(1)).to_have_class(re.compile("here"))


def test_the_address_holds_what_is_shown(opened: Open, tab: Page) -> None:
    page = opened(golden.subwords(), golden.right_to_left())
    page.get_by_role("button", name="words").click()
    page.get_by_role("button", name="absolute").click()
    page.get_by_role("button", name="Beam").click()
    page.locator(".sentence.output .piece").nth(3).click()
    page.get_by_role("button", name="Show beside: trace 2").click()
    expect(page.locator("article")).to_have_count(2)
    shown = page.locator(".stage-all").aria_snapshot()
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    expect(page.locator("article")).to_have_count(2)
    assert page.locator(".stage-all").aria_snapshot() == shown
    page.go_back()
    page.goto(address)
    page.get_by_role("button", name="Take away: trace 1").click()
    expect(page.locator("article")).to_have_count(1)
    page.go_back()
    expect(page.locator("article")).to_have_count(2)


@pytest.mark.parametrize("address", ["s=9.7", "p=1_2_3.x_y", "v=nothing", "m=-5", "q=%%%", "q=e30=", "u=", "&&&="])
def test_addresses_that_make_no_sense_do_no_harm(opened: Open, address: str) -> None:
    page = opened(golden.subwords(), address=address)
    expect(page.locator("attend-explorer h1")).to_have_text("Traces")
    expect(page.locator("article")).to_have_count(1)


def test_arcs_show_the_strongest_until_so_much_weight(opened: Open) -> None:
    trace = golden.subwords()
    look = trace.looks["source"]
    assert isinstance(look, Weights)

    def arcs(mass: float) -> int:
        rows = -np.sort(-look.weights, axis=1).cumsum(axis=1)
        return int(((rows - -np.sort(-look.weights, axis=1)) < mass - 1e-9).sum())

    for mass in (50, 75, 95):
        expect(opened(trace, address=f"m={mass}&u=token").locator("attend-arcs path")).to_have_count(arcs(mass / 100))


def test_an_arc_can_be_pointed_at_and_special_tokens_hidden(opened: Open) -> None:
    page = opened(golden.subwords(), address="v=arcs")
    count = page.locator("attend-arcs path").count()
    page.locator("attend-arcs path").first.dispatch_event("pointerenter")
    expect(page.locator("attend-arcs path:not(.faded)")).to_have_count(1)
    page.get_by_label("special tokens").uncheck()
    expect(page.locator("attend-arcs path")).to_have_count(count - 1)
    assert "e=hidden" in page.url


def test_doubt_is_shown_where_the_trace_has_it(opened: Open) -> None:
    trace = golden.subwords()
    expect(opened(trace).get_by_text("Doubt")).to_have_count(0)
    page = opened(replace(trace, entropies=(0.5,) * 9), address="u=word")
    expect(page.locator(".strip", has_text="Doubt").locator(".bar[title='rennt: 1.000']")).to_have_count(1)


def test_a_persons_links_and_the_error_rate(opened: Open) -> None:
    page = opened(golden.subwords(), address="u=word")
    expect(page.locator("attend-matrix .legend")).to_contain_text("alignment error rate 0.000")
    expect(page.locator("attend-matrix svg rect[stroke-dasharray]")).to_have_count(1)
    # A person's links are between words.
    expect(opened(golden.subwords(), address="u=token").locator("attend-matrix .legend")).not_to_contain_text("error")


def test_what_was_thought_after_a_glimpse_stands_beside_it(opened: Open) -> None:
    trace = golden.glimpses()
    chances = [(0.5, 0.3, 0.2), (0.1, 0.2, 0.7)]
    thought = tuple(
        tuple(Alternative(number, f"class {number}", math.log(chance)) for number, chance in enumerate(step))
        for step in chances
    )
    # Six windows are three scales of two glimpses.
    page = opened(replace(trace, ids=(2,), alternatives=thought), address="v=windows.alternatives")
    names = page.locator(".thought .name")
    assert names.all_inner_texts() == ["class 0", "class 1", "class 2"]
    page.locator("attend-windows .stage").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert names.all_inner_texts() == ["class 2", "class 1", "class 0"]
    expect(page.locator("attend-alternatives")).to_contain_text("thought after step 2")
    expect(page.locator("attend-alternatives .written")).to_contain_text("the answer")


def test_a_cell_of_a_picture_lights_the_others(opened: Open) -> None:
    page = opened(golden.caption())
    page.locator("attend-picture .stage svg").hover(position={"x": 5, "y": 5})
    expect(page.locator("attend-picture .cell-here")).to_have_count(1)
    expect(page.locator(".bar-said")).to_contain_text("“row 1, column 1” 0.")
    page.get_by_label("darkness").fill("0")
    expect(page.locator("attend-picture .stage rect[opacity='0.000']").first).to_be_attached()
    assert "d=0" in page.url


def test_a_picture_follows_the_words(opened: Open) -> None:
    page = opened(golden.caption())
    page.locator("attend-picture .stage").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("img", name="What “house” looked at")).to_have_count(2)  # large, and small among all
    expect(page.locator(".small.here")).to_have_text("house")
    page.get_by_role("button", name="smooth").click()
    expect(page.locator("attend-picture .stage image")).to_have_count(2)
    page.get_by_role("slider", name="Step").fill("5")
    expect(page.locator(".small.here")).to_have_text("sun")
    page.get_by_role("button", name="Play").click()
    expect(page.locator(".small.here")).to_have_text("</s>")


def test_windows_move_with_the_slider(opened: Open) -> None:
    page = opened(golden.glimpses())
    page.get_by_role("slider", name="Step").fill("3")
    expect(page.locator(".window.here text")).to_have_text("4")
    expect(page.locator(".window.later")).to_have_count(2)
    expect(page.get_by_role("img", name="What the window saw")).to_be_visible()
    expect(page.locator(".bar-said")).to_contain_text("“glimpse 4” looks at 0.10, -0.40")


def test_windows_lie_as_the_picture_does_and_are_numbered_by_step(opened: Open) -> None:
    centre, extent = np.array([[0.0, 0.0]] * 2 + [[0.5, -0.5]] * 2), np.array([[0.2, 0.4], [0.4, 0.8]] * 2)
    windows = Windows(centre, extent, np.array([0.0, 1.0] * 2), Named(("1 x1", "1 x2", "2 x1", "2 x2")))
    thought = ((Alternative(0, "a", -0.1), Alternative(1, "b", -2.4)),) * 2
    wide = as_data_uri(np.zeros((1, 20, 40), dtype=np.uint8))
    page = opened(
        Trace(
            "wide.png",
            "a",
            {"glimpse": windows},
            (-0.1,),
            ids=(0,),
            alternatives=thought,
            media={"input": Picture(wide)},
        )
    )
    assert page.locator(".window text").all_text_contents() == ["1", "1", "2", "2"]
    box = page.locator(".window .edge[width]").first.bounding_box()
    assert box
    # Of an image of 40 x 20 pixels the window has four by four.
    assert box["width"] == pytest.approx(box["height"], abs=2)
    seen = page.get_by_role("img", name="What the window saw").bounding_box()
    assert seen
    assert seen["width"] == pytest.approx(seen["height"], abs=2)


def test_a_drawing_shows_the_canvas_after_each_step(opened: Open) -> None:
    trace = golden.drawing()
    canvases = trace.media["write"]
    assert isinstance(canvases, PictureEachStep)
    page = opened(trace)
    drawn, slider = page.locator("attend-drawing .stage image"), page.get_by_role("slider", name="Step")
    for step, canvas in enumerate(canvases.uris):
        slider.fill(str(step))
        expect(drawn).to_have_attribute("href", canvas)
        # Of eight by eight pixels each is to be seen.
        expect(drawn).to_have_css("image-rendering", "pixelated")
    given = page.get_by_role("img", name="The picture that was given")
    expect(given.locator("image")).to_have_attribute("href", golden.picture())
    box, picture = given.locator(".window").bounding_box(), given.locator("image").bounding_box()
    assert box
    assert picture
    # A window of 0.5 in 2, around 0.6 in -1 to 1.
    assert box["width"] / picture["width"] == pytest.approx(0.25, abs=0.03)
    assert (box["x"] + box["width"] / 2 - picture["x"]) / picture["width"] == pytest.approx(0.8, abs=0.02)
    page.locator("attend-drawing .stage").focus()
    page.keyboard.press("ArrowLeft")
    expect(drawn).to_have_attribute("href", canvases.uris[1])
    saved_picture = saved(page, "SVG").decode()
    assert canvases.uris[1] in saved_picture
    assert "pixelated" in saved_picture


def test_what_a_drawing_wrote_is_not_shown_as_seen(opened: Open) -> None:
    page = opened(golden.drawing())
    expect(page.get_by_role("img", name="What the window saw").locator("image")).to_have_attribute(
        "href", golden.picture()
    )
    page.get_by_role("button", name="write", exact=True).click()
    expect(page.get_by_role("img", name="The picture that was given")).to_be_visible()
    expect(page.get_by_text("What it saw there")).to_have_count(0)
    page.get_by_role("slider", name="Step").fill("2")
    expect(page.locator(".bar-said")).to_contain_text("“3” writes at 0.00, 0.00")


def test_a_drawing_of_nothing_given_shows_its_canvas_alone(opened: Open) -> None:
    trace = golden.drawing()
    canvases = PictureEachStep(golden.shades(128, 64, 0))
    for looks, owner in (({"write": trace.looks["write"]}, "write"), ({}, "output")):
        page = opened(replace(trace, looks=looks, media={owner: canvases}))
        page.get_by_role("slider", name="Step").fill("1")
        expect(page.locator("attend-drawing image")).to_have_attribute("href", canvases.uris[1])
        expect(page.locator("attend-drawing .window")).to_have_count(len(looks))


def test_windows_in_the_frames_of_a_clip_are_shown_in_theirs(opened: Open) -> None:
    page = opened(golden.tracking())
    frames = golden.shades(250, 150, 50)
    for step in range(6):
        page.get_by_role("slider", name="Step").fill(str(step))
        expect(page.locator("attend-drawing .stage image")).to_have_attribute("href", frames[step // 2])
        seen = page.get_by_role("img", name="What the window saw")
        expect(seen.locator("image")).to_have_attribute("href", frames[step // 2])
        expect(page.locator(".bar-said")).to_contain_text(f"“{step // 2 + 1}, scale {step % 2 + 1}” looks at")
        assert (seen.get_attribute("viewBox") or "").endswith(" 0.4 0.4" if step % 2 == 0 else " 0.8 0.8")


def test_thumbnails_of_cells_stand_for_them_in_the_input(opened: Open) -> None:
    page = opened(golden.video())
    thumbnails = page.locator(".sentence.source .piece .thumbnail image")
    assert [image.get_attribute("href") for image in thumbnails.all()] == list(golden.shades(250, 200, 150, 100, 50, 0))
    page.locator(".sentence.output .piece").first.hover()
    expect(page.locator(".sentence.source .piece").nth(5)).to_have_class(re.compile("best"))
    page.locator(".sentence.source .piece").nth(3).hover()
    expect(page.locator(".bar-said")).to_contain_text("“3.00 s” is read by “falls”")


def test_a_sound_can_be_played_and_an_output_that_was_cut_off_says_so(opened: Open) -> None:
    page = opened(golden.speech())
    expect(page.locator(".sentence.output")).to_contain_text("cut off at the greatest length")
    loaded = "sound => sound.readyState > 0 || new Promise(found => sound.addEventListener('loadedmetadata', found))"
    page.locator("audio").evaluate(loaded)
    assert page.locator("audio").evaluate("sound => sound.duration") == pytest.approx(0.805, abs=0.01)
    expect(opened(golden.subwords()).locator(".sentence.output")).not_to_contain_text("cut off")


def test_the_first_version_of_traces_is_read(opened: Open, tmp_path: Path) -> None:
    form = golden.drawing().to_json()
    media = form.pop("media")
    form["picture"] = media["input"]["uri"]
    page = opened()
    for owner, looks in (("write", form["looks"]), (None, {})):
        canvas = {"after": media["write"]["uris"], "look": owner}
        path = tmp_path / "first.json"
        path.write_text(json.dumps({**form, "schema": "attend.trace.v1", "looks": looks, "canvas": canvas}))
        page.locator("input[type=file]").set_input_files(path)
        expect(page.locator("attend-drawing .stage image")).to_have_attribute("href", canvas["after"][0])
        given = page.get_by_role("img", name="The picture that was given").first
        expect(given.locator("image")).to_have_attribute("href", form["picture"])


def test_what_a_trace_may_leave_out_is_not_missed(opened: Open, tmp_path: Path) -> None:
    form = golden.subwords().to_json()
    del form["scores"], form["about"], form["looks"]["source"]["hard"]
    for axis in ("steps", "memory"):
        end = form["looks"]["source"][axis]["tokens"][-1]
        del end["start"], end["end"]
    path = tmp_path / "short.json"
    path.write_text(json.dumps({**form, "finished": None, "evidence": None, "search": None}))
    page = opened()
    page.locator("input[type=file]").set_input_files(path)
    expect(page.locator(".sentence.output .special")).to_have_text("</s>")
    expect(page.locator("attend-matrix svg").first).to_be_visible()


def test_addresses_from_before_drawings_had_their_name_are_understood(opened: Open) -> None:
    expect(opened(golden.drawing(), address="v=canvas").locator("attend-drawing")).to_have_count(1)


def test_no_source_of_the_page_imports_itself_by_way_of_others() -> None:
    source = Path(__file__).parents[2] / "web" / "source"
    imported = {
        path.stem: set(re.findall(r'(?:from|import) "\./(\w+)"', path.read_text())) for path in source.glob("*.ts")
    }
    assert imported["view"] >= {"panel", "elements"}
    list(TopologicalSorter(imported).static_order())


def test_a_drawing_has_a_table_of_its_windows_too(opened: Open) -> None:
    page = opened(golden.drawing())
    expect(page.locator("attend-windows")).to_have_count(0)
    page.get_by_role("button", name="Table").click()
    expect(page.locator("attend-windows tbody tr")).to_have_count(3)


def test_two_traces_and_their_difference(opened: Open) -> None:
    other = golden.subwords()
    look = other.looks["source"]
    assert isinstance(look, Weights)
    uniform = Weights(np.full(look.weights.shape, 0.1), look.steps, look.memory)
    page = opened(golden.subwords(), Trace(other.input, other.output, {"source": uniform}), address="s=0.1&u=token")
    expect(page.locator("attend-difference svg")).to_be_visible()
    distance = np.abs(look.weights - 0.1).sum(axis=1).mean() / 2
    expect(page.locator("attend-difference .legend")).to_contain_text(f"mean distance {distance:.3f}")
    page.locator("attend-difference [tabindex]").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".bar-said").first).to_contain_text("“hund” reads")
    assert page.locator("attend-difference svg g rect").count() == 2
    page = opened(golden.subwords(), golden.right_to_left(), address="s=0.1")
    expect(page.locator("attend-difference")).to_contain_text("they look at different inputs")


def test_the_search_is_drawn_by_shape(opened: Open) -> None:
    page = opened(golden.subwords(), address="v=beam")
    search = golden.subwords().search or ()
    fates = [node.fate for node in search]
    expect(page.locator("attend-beam .node")).to_have_count(len(search))
    expect(page.locator("attend-beam .node rect")).to_have_count(fates.count("finished"))
    expect(page.locator("attend-beam .node path")).to_have_count(fates.count("pruned"))
    page.get_by_label("pruned").uncheck()
    expect(page.locator("attend-beam .node")).to_have_count(len(search) - fates.count("pruned"))


def test_evidence_stands_beside_attention(opened: Open) -> None:
    page = opened(golden.subwords(), address="v=evidence")
    why = page.locator("attend-why")
    expect(why).to_contain_text("Attention shows where the model read, not why.")
    for text in ("leave-one-out", "gradient x input", "made uniform", "strand am .", "-21.50"):
        expect(why).to_contain_text(text)
    expect(page.locator("footer")).to_contain_text("Attention shows where the model read, not why.")


def test_evidence_of_a_picture_has_maps(opened: Open) -> None:
    trace = golden.caption()
    look = trace.looks["image"]
    assert isinstance(look, Weights)
    least = np.zeros(look.weights.shape)
    least[0, 17] = 2.0
    trace = replace(trace, evidence=Evidence("image", {"leave-one-out": least}, (Intervention("uniform", "a", -9.0),)))
    why = opened(trace, address="v=evidence").locator("attend-why")
    expect(why.locator(".maps svg")).to_have_count(2)
    expect(why.locator(".maps svg").first.locator("rect")).to_have_count(14 * 14)
    expect(why.locator(".why-table tbody tr")).to_have_count(12)
    expect(why.locator(".why-table")).to_contain_text("row 2, column 4")


def saved(page: Page, name: str, menu: bool = False) -> bytes:
    if menu:
        page.locator("details.menu summary").first.click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name=name, exact=True).first.click()
    return Path(waiting.value.path()).read_bytes()


def test_files_of_what_is_shown(opened: Open, tmp_path: Path) -> None:
    trace = golden.subwords()
    look = trace.looks["source"]
    assert isinstance(look, Weights)
    page = opened(trace, address="u=word")
    picture = ElementTree.fromstring(saved(page, "SVG"))
    texts = ["".join(text.itertext()) for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"rennt", "strand", "beach", "sum"} <= set(texts)
    assert saved(page, "PNG").startswith(b"\x89PNG")
    assert Trace.from_json(json.loads(saved(page, "Trace, .json", menu=True))).to_json() == trace.to_json()
    lines = saved(page, "Weights, .csv", menu=True).decode().splitlines()
    assert lines[0] == ",a,dog,runs,on,the,beach,.,</s>"
    np.testing.assert_allclose([float(x) for x in lines[3].split(",")[1:]], merge(look).weights[2], atol=1e-5)
    assert saved(page, "Links, .pharaoh", menu=True) == b"0-0 1-1 2-2 3-3 5-4 6-5\n"
    page.get_by_role("button", name="tokens").click()
    write_nematus(tmp_path / "nematus", [Trace.from_json(trace.to_json())])
    assert saved(page, "Nematus, .txt", menu=True) == (tmp_path / "nematus").read_bytes()


def test_a_saved_page_opens_by_itself_and_saves_again(opened: Open, tmp_path: Path) -> None:
    page = opened(golden.hostile(), golden.subwords())
    for number in range(2):
        path = tmp_path / f"saved-{number}.html"
        path.write_bytes(saved(page, "All traces, .html", menu=True))
        page.goto(f"{path.as_uri()}#s=1")
        expect(page.locator(".sentence.source")).to_contain_text("a dog runs on the beach .")
        page.get_by_role("button", name=re.compile("^1")).first.click()
        expect(page.locator(".sentence.source")).to_contain_text("onerror=alert(1)")


def test_a_trace_file_can_be_opened(opened: Open, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    path.write_text(json.dumps(golden.subwords().to_json()))
    page = opened()
    expect(page.get_by_text("There is no trace here yet")).to_be_visible()
    page.locator("input[type=file]").set_input_files(path)
    expect(page.locator(".sentence.source")).to_contain_text("a dog runs")
    for looks in ({}, {"x": {"kind": "weights"}}, None):
        path.write_text(json.dumps({"schema": "attend.trace.v2", "looks": looks}))
        page.locator("input[type=file]").set_input_files(path)
        expect(page.locator(".said")).to_contain_text("trace.json is not a trace, or not a whole one")
        expect(page.locator(".sentence.source")).to_contain_text("a dog runs")
        page.get_by_role("button", name="Arcs").click()
        expect(page.locator(".said")).to_contain_text("trace.json")


def test_a_person_s_links_are_seen_at_once(opened: Open) -> None:
    assert golden.subwords().gold
    page = opened(golden.subwords())
    expect(page.locator("attend-matrix .legend")).to_contain_text("error rate")
    page.get_by_role("button", name="tokens").click()
    expect(page.locator("attend-matrix .legend")).not_to_contain_text("error rate")
    assert "u=token" in page.url


def test_strips_have_a_table_too(opened: Open) -> None:
    trace = golden.subwords()
    page = opened(trace, address="v=strips&t=1&u=token")
    tables = page.locator("attend-strips table")
    expect(tables).to_have_count(2)
    assert trace.scores
    probability = [f"{math.exp(score):.3f}" for score in trace.scores]
    shown = [row.locator("td").first.inner_text() for row in tables.first.locator("tbody tr").all()]
    assert [text.split(",")[0] for text in shown] == probability
    look = trace.looks["source"]
    assert isinstance(look, Weights)
    covered = [row.locator("td").first.inner_text() for row in tables.last.locator("tbody tr").all()]
    assert [text.split(",")[0] for text in covered] == [f"{total:.3f}" for total in look.weights.sum(axis=0)]


def test_windows_have_a_table_too(opened: Open) -> None:
    trace = golden.glimpses()
    look = trace.looks["glimpse"]
    assert isinstance(look, Windows)
    page = opened(trace)
    page.get_by_role("button", name="Table").click()
    table = page.locator("attend-windows table")
    shown = [
        [float(cell) for cell in row.locator("td").all_inner_texts()[:5]] for row in table.locator("tbody tr").all()
    ]
    np.testing.assert_allclose(shown, np.column_stack([look.centre, look.extent, look.scale]), atol=0.005)
    table.locator("tbody td").nth(7).hover()
    expect(page.locator(".bar-said")).to_contain_text(f"“{look.steps.labels()[1]}” looks at")
    expect(table.locator("tr.here")).to_have_count(1)


def test_a_difference_has_a_table_and_is_spoken(opened: Open) -> None:
    trace = golden.subwords()
    look = trace.looks["source"]
    assert isinstance(look, Weights)
    other = Weights(np.roll(look.weights, 1, axis=1), look.steps, look.memory)
    second = Trace(trace.input, trace.output, {"source": other})
    page = opened(trace, second, address="s=0.1&u=token&v=difference")
    page.locator("attend-difference [tabindex]").focus()
    for key in ("ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    one, two = look.weights[1, 1], other.weights[1, 1]
    more = (other.weights - look.weights)[1]
    name, most = look.memory.labels()[int(more.argmax())].strip(), more.max()
    spoken = page.locator("[role=status]")
    expect(spoken).to_contain_text(f"{one:.3f} in the first, {two:.3f} in the second")
    expect(spoken).to_contain_text(f"the second looks more at “{name}” by {most:.2f}")
    page.keyboard.press("t")
    rows = page.locator("attend-difference tbody tr").all()
    shown = [[float(cell) for cell in row.locator("td").all_inner_texts()] for row in rows]
    np.testing.assert_allclose(shown, other.weights - look.weights, atol=6e-4)


def test_heads_over_memory_slots_are_shown_step_by_step(opened: Open) -> None:
    page = opened(golden.memory())
    # Stages are part of this view, not looks to choose.
    expect(page.get_by_role("group", name="Look").get_by_role("button")).to_have_text(["read", "write"])
    view = page.locator("attend-memory")
    maps = view.get_by_role("application", name="Heads over memory slots")
    expect(view.locator("svg image")).to_have_count(2 + 2 + 4 + 1)
    expect(view.locator(".stage-name")).to_have_text(["before", "content", "shift", "sharpen"])
    for name in ("input", "output", "write", "read", "other", "step", "slot"):
        expect(view.get_by_text(name, exact=True).first).to_be_visible()
    # It opens at the output's first step.
    expect(view).to_contain_text("step 4 (output 1): write at slot 3 (1.00), read at slot 1 (1.00)")
    view.get_by_role("slider").fill("4")
    expect(view).to_contain_text("step 5 (output 2): write at slot 3 (1.00), read at slot 2 (1.00)")
    expect(view.get_by_text("memory after step 5")).to_be_visible()
    maps.focus()
    page.keyboard.press("Home")
    expect(view).to_contain_text("step 1 (input 1)")
    page.keyboard.press("ArrowRight")
    expect(view).to_contain_text("step 2 (input 2): write at slot 2 (1.00)")
    picture = ElementTree.fromstring(saved(page, "SVG"))
    texts = {"".join(text.itertext()) for text in picture.iter("{http://www.w3.org/2000/svg}text")}
    assert {"write", "memory after step 2", "sharpen"} <= texts
    assert saved(page, "PNG").startswith(b"\x89PNG")


def test_heads_over_memory_slots_have_a_table_too(opened: Open) -> None:
    rows = opened(golden.memory(), address="v=memory&t=1").locator("attend-memory tbody tr")
    expect(rows).to_have_count(6)
    assert rows.nth(4).locator("td").all_inner_texts()[-1] == "slot 2 (1.00)"


def test_maps_of_memory_slots_fit_a_narrow_screen(opened: Open) -> None:
    page = opened(golden.memory(), address="v=memory")
    page.set_viewport_size({"width": 390, "height": 900})
    expect(page.locator("attend-memory svg image")).to_have_count(9)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_the_search_has_a_table_too(opened: Open) -> None:
    search = golden.subwords().search or ()
    rows = opened(golden.subwords(), address="v=beam&t=1").locator("attend-beam tbody tr")
    expect(rows).to_have_count(len(search))
    fates = [row.locator("td").nth(1).inner_text() for row in rows.all()]
    assert sorted(fates) == sorted(node.fate for node in search)


@pytest.mark.parametrize("view", ["strips", "alternatives", "evidence"])
def test_views_of_the_pages_own_elements_are_saved_as_pictures(opened: Open, view: str) -> None:
    page = opened(golden.subwords(), address=f"v={view}&u=word")
    picture = ElementTree.fromstring(saved(page, "SVG"))
    texts = {"".join(text.itertext()) for text in picture.iter("{http://www.w3.org/2000/svg}text")}
    expected = {
        "strips": {"Probability of each output", "strand", "beach"},
        "alternatives": {"probability", golden.subwords().alternatives[0][0].text},
        "evidence": {
            "leave-one-out",
            "gradient x input",
            "beach",
            "With uniform attention it writes “ein hund hund .”; log p of this output -14.20",
        },
    }
    assert expected[view] <= texts
    assert saved(page, "PNG").startswith(b"\x89PNG")


def test_what_is_spoken_is_of_the_trace_one_moves_through(opened: Open) -> None:
    first, second = golden.subwords(), golden.right_to_left()
    page = opened(first, second, address="s=0.1&u=token")
    page.get_by_role("application", name="Alignment matrix").nth(1).focus()
    page.keyboard.press("ArrowDown")
    look = second.looks["source"]
    assert isinstance(look, Weights)
    expect(page.locator(".spoken")).to_contain_text(f"“{look.steps.labels()[1]}” reads")
    # Every name that is written from right to left is held apart from the figures beside it.
    text = page.locator(".spoken").inner_text()
    assert text.count("\u2068") == text.count("\u2069") > 0


def test_a_notebooks_frame_draws_itself(tab: Page, tmp_path: Path) -> None:
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><title>notebook</title>{frame([golden.subwords()], 'trace')}", encoding="utf-8")
    tab.goto(path.as_uri())
    inside = tab.frame_locator("iframe")
    expect(inside.locator("attend-matrix svg").first).to_be_visible()
    inside.locator(".sentence.output .piece").first.click()
    expect(inside.locator(".bar-said")).to_contain_text("reads")


def test_without_scripts_there_is_a_table(browser: Browser, tmp_path: Path, opened: Open) -> None:
    opened(golden.subwords())
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((tmp_path / "page-0.html").as_uri())
    expect(page.locator("noscript table td").first).to_be_visible()
    context.close()


def test_a_large_matrix_stays_quick(opened: Open, capsys: pytest.CaptureFixture[str]) -> None:
    page = opened(golden.large(1000, 1000), address="v=matrix.strips")
    page.locator("canvas.field-lit").wait_for()
    spent = page.evaluate(
        """() => {
            const canvas = document.querySelector("canvas.field-lit");
            const box = canvas.getBoundingClientRect();
            const times = [];
            for (let number = 0; number < 60; number++) {
                const clientX = box.left + 150 + number * 7, clientY = box.top + 60 + number * 5;
                const before = performance.now();
                canvas.dispatchEvent(new PointerEvent("pointermove", { clientX, clientY, bubbles: true }));
                times.push(performance.now() - before);
            }
            return times.sort((a, b) => a - b);
        }"""
    )
    with capsys.disabled():
        print(f"\n1,000 x 1,000 hover: median {spent[30]:.1f} ms, 95th percentile {spent[57]:.1f} ms of script")
    expect(page.locator(".bar-said")).to_contain_text("reads")
    # The median, because other programs of this machine may take the processor at any time.
    assert spent[30] < 16
    assert saved(page, "SVG").count(b"<image") == 1


def test_a_large_matrix_has_its_sums_marks_and_links(opened: Open) -> None:
    trace = golden.large(80, 70)
    page = opened(replace(trace, gold={"source": Gold(sure=((3, 4),), possible=((3, 4), (5, 6)))}))
    page.locator("canvas.field-lit").wait_for()
    picture = ElementTree.fromstring(saved(page, "SVG"))
    shapes = [shape.tag.rpartition("}")[2] for shape in picture.iter()]
    assert shapes.count("circle") == 80
    assert shapes.count("rect") == 1 + 80 + 70 + 2
    assert len([shape for shape in picture.iter() if shape.get("stroke-dasharray")]) == 1


def test_the_first_paint_is_soon(opened: Open, capsys: pytest.CaptureFixture[str]) -> None:
    page = opened(golden.large(50, 50))
    page.locator("attend-matrix svg").first.wait_for()
    paint = page.evaluate(
        """() => new Promise((found) => new PerformanceObserver((list) => {
            const entry = list.getEntriesByName("first-contentful-paint")[0];
            if (entry) found(entry.startTime);
        }).observe({ type: "paint", buffered: true }))"""
    )
    with capsys.disabled():
        print(f"\n50 x 50 first paint: {paint:.0f} ms")
    assert paint < 4000
