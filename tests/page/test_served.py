"""The page over a server: asking again, and asking otherwise."""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

sys.path.insert(0, str(Path(__file__).parents[1] / "serve"))
from echo import LIMITS, Echo, serving
from models import sentence_pairs, untrained
from test_accessible import AXE

from attend.fields.text import Text
from attend.outputs import classes
from attend.serve.adapter import served as adapted
from attend.serve.application import application
from attend.serve.served import Served
from attend.systems import entailment

PAIR = {"premise": "a dog runs", "hypothesis": "two cats sleep"}


@pytest.fixture
def served(tab: Page) -> Iterator[Page]:
    """Two models, the first of which has read "a dog runs"."""
    models = [Echo(examples=["a dog runs"]), Echo("second")]
    with serving(application(models, LIMITS)) as port:
        tab.goto(f"http://127.0.0.1:{port}/")
        expect(outputs(tab)).to_have_text(["A DOG RUNS"])
        yield tab


def outputs(page: Page):
    return page.locator(".sentence.output")


def test_an_edited_text_is_read_beside_the_old_one_and_can_be_undone(served: Page) -> None:
    served.get_by_label("Text to read").fill("two cats")
    served.get_by_role("button", name="Read").click()
    expect(outputs(served)).to_have_text(["A DOG RUNS", "TWO CATS"])
    served.get_by_role("button", name="Undo").click()
    expect(outputs(served)).to_have_text(["A DOG RUNS"])


def test_what_was_typed_stays(served: Page) -> None:
    text = served.get_by_label("Text to read")
    text.fill("two cats")
    served.set_viewport_size({"width": 800, "height": 900})
    expect(text).to_have_value("two cats")
    served.get_by_role("button", name="Read").click()
    expect(outputs(served)).to_have_text(["A DOG RUNS", "TWO CATS"])
    expect(served.locator("[role=status]")).to_have_text("Trace 2: “TWO CATS”.")
    expect(text).to_have_value("two cats")
    served.get_by_role("button", name="Undo").click()
    expect(text).to_have_value("a dog runs")


def test_a_link_can_be_pasted_into_an_open_page(served: Page) -> None:
    served.get_by_label("Text to read").fill("two cats")
    served.get_by_role("button", name="Read").click()
    expect(outputs(served)).to_have_text(["A DOG RUNS", "TWO CATS"])
    link = served.url
    other = served.context.new_page()
    other.goto(link.split("#")[0])
    expect(outputs(other)).to_have_text(["A DOG RUNS"])
    other.goto(link)  # the same page: nothing is loaded anew
    expect(outputs(other)).to_have_text(["A DOG RUNS", "TWO CATS"])
    other.get_by_role("button", name="Undo").click()
    expect(outputs(other)).to_have_text(["A DOG RUNS"])
    other.go_back()
    expect(outputs(other)).to_have_text(["A DOG RUNS", "TWO CATS"])
    other.close()


def test_models_started_with_one_text_stand_side_by_side(tab: Page) -> None:
    models = [Echo(examples=["a dog runs"]), Echo("second", examples=["a dog runs"]), Echo("third", examples=["cats"])]
    with serving(application(models, LIMITS)) as port:
        tab.goto(f"http://127.0.0.1:{port}/")
        expect(outputs(tab)).to_have_text(["A DOG RUNS", "A DOG RUNS"])
        expect(tab.locator("article .about").nth(1)).to_contain_text("model second")


def test_pictures_can_be_read_again_and_are_kept_out_of_the_address(tab: Page, tmp_path: Path) -> None:
    path = tmp_path / "noise.png"
    Image.effect_noise((96, 96), 90).save(path)
    with serving(application([Echo(reads="image", steerable=False)], LIMITS)) as port:
        tab.goto(f"http://127.0.0.1:{port}/")
        read = tab.get_by_role("button", name="Read")
        read.click()
        expect(tab.locator(".said")).to_have_text("Choose a picture to read first.")
        tab.get_by_label("Picture").set_input_files(path)
        expect(tab.get_by_role("img", name="The picture that was chosen")).to_be_visible()
        for count in (1, 2):
            read.click()
            expect(outputs(tab)).to_have_count(count)
        assert "q=" not in tab.url
        assert len(tab.url) < 200
        expect(tab.get_by_role("button", name="write another word")).to_have_count(0)


def test_a_greedy_output_is_streamed(served: Page) -> None:
    served.get_by_label("Beam").select_option("1")
    served.get_by_label("Text to read").fill("two cats")
    served.get_by_role("button", name="Read").click()
    expect(outputs(served)).to_have_text(["A DOG RUNS", "TWO CATS"])


def test_two_models_read_the_same_text(served: Page) -> None:
    served.get_by_label("Model", exact=True).select_option("second")
    served.get_by_role("button", name="Read").click()
    expect(served.locator("article")).to_have_count(2)
    expect(served.locator("article .about").nth(1)).to_contain_text("model second")
    expect(served.locator("attend-difference .legend")).to_contain_text("mean distance 0.000")


def test_all_models_are_asked_at_once(served: Page) -> None:
    served.get_by_label("Model", exact=True).select_option("all of them")
    served.get_by_label("Text to read").fill("two cats")
    served.get_by_role("button", name="Read").click()
    expect(outputs(served)).to_have_text(["TWO CATS", "TWO CATS"])
    expect(served.locator("article .about").nth(0)).to_contain_text("model echo")
    expect(served.locator("article .about").nth(1)).to_contain_text("model second")
    expect(served.get_by_label("Model", exact=True)).to_have_value("*")


def test_attention_is_set_by_hand_from_the_keyboard(served: Page) -> None:
    served.locator("attend-matrix .scroll").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "o"):
        served.keyboard.press(key)
    expect(served.locator("article")).to_have_count(2)
    served.locator("article").nth(1).locator(".sentence.output .piece").nth(1).hover()
    expect(served.locator("article").nth(1).locator(".bar-said")).to_contain_text("“DOG” reads “runs” 1.00")
    # The next row leaves the first one as it was set.
    served.locator("article").nth(1).locator("attend-matrix .scroll").focus()
    for key in ("ArrowDown", "u"):
        served.keyboard.press(key)
    expect(served.locator("nav .trace-chip")).to_have_count(3)
    served.get_by_role("button", name=re.compile("^3")).first.click()
    served.locator(".sentence.output .piece").nth(2).hover()
    expect(served.locator(".bar-said")).to_contain_text("0.33")


def test_another_word_is_written_and_the_link_brings_it_back(served: Page) -> None:
    served.locator(".sentence.output .piece").nth(1).click()
    expect(served.locator("attend-alternatives")).to_contain_text("Step 2")
    served.locator("button.choice-row").first.click()
    expect(served.locator("article")).to_have_count(2)
    expect(served.locator("article .about").nth(1)).to_contain_text("step 2 given")
    address = served.url
    served.goto("about:blank")
    served.goto(address)
    expect(outputs(served)).to_have_text(["A DOG RUNS", "A DOG RUNS"])


def test_what_goes_wrong_is_said(served: Page) -> None:
    served.on("console", lambda message: None)
    served.get_by_label("Text to read").fill(" ")
    served.get_by_role("button", name="Read").click()
    expect(served.locator(".said")).to_have_text("Write something to read first.")


def test_a_token_in_the_address_is_used_and_taken_out_of_it(page: Page) -> None:
    with serving(application([Echo(examples=["a dog"])], LIMITS, token="secret")) as port:
        page.goto(f"http://127.0.0.1:{port}/#token=secret")
        expect(outputs(page)).to_have_text(["A DOG"])
        assert "secret" not in page.url
        page.reload()
        expect(outputs(page)).to_have_text(["A DOG"])


def test_the_server_s_page_saves_one_that_needs_no_server(served: Page, tmp_path: Path) -> None:
    served.locator("details.menu summary").click()
    with served.expect_download() as waiting:
        served.get_by_role("button", name="Page, .html").click()
    path = tmp_path / "saved.html"
    path.write_bytes(Path(waiting.value.path()).read_bytes())
    other = served.context.new_page()
    other.goto(path.as_uri())
    expect(outputs(other)).to_have_text(["A DOG RUNS"])
    expect(other.get_by_label("Text to read")).to_have_count(0)
    other.close()


def test_the_interface_s_page_is_whole(served: Page) -> None:
    served.goto(f"{served.url.split('#')[0]}docs")
    expect(served.get_by_role("heading", name="POST /v1/trace")).to_be_visible()


class Mixed(Echo):
    """Reads a caption and an image, and writes the caption."""

    def __init__(self) -> None:
        super().__init__("mixed", names=("caption", "image"))

    @property
    def inputs(self) -> Mapping[str, str]:
        return {"caption": "text", "image": "image"}


@pytest.fixture(scope="module")
def pairs() -> Served:
    """A model of two texts, with an example."""
    return adapted("pairs", sentence_pairs(), [PAIR])


def test_a_model_of_two_texts_has_a_box_for_each(tab: Page, pairs: Served) -> None:
    with serving(application([pairs], LIMITS)) as port:
        tab.goto(f"http://127.0.0.1:{port}/")
        expect(outputs(tab)).to_have_count(1)
        premise, hypothesis = tab.get_by_label("premise", exact=True), tab.get_by_label("hypothesis", exact=True)
        expect(premise).to_have_value("a dog runs")
        expect(hypothesis).to_have_value("two cats sleep")
        expect(tab.get_by_label("Beam")).to_have_count(0)
        # Enter asks from either box; an empty one is named, and has the focus then.
        hypothesis.fill("")
        premise.focus()
        tab.keyboard.press("Enter")
        expect(tab.locator(".said")).to_have_text("Write something in “hypothesis” first.")
        expect(hypothesis).to_be_focused()
        tab.keyboard.type("a dog sleeps")
        tab.keyboard.press("Enter")
        expect(outputs(tab)).to_have_count(2)
        expect(tab.locator("[role=status]")).to_have_text(re.compile("Trace 2: “[a-z]+”, probability 0.\\d\\d."))
        expect(hypothesis).to_have_value("a dog sleeps")
        expect(tab.locator("article").nth(1).locator(".sentence.rows")).to_contain_text("a dog sleeps")
        address = tab.url
        tab.goto("about:blank")
        tab.goto(address)
        expect(outputs(tab)).to_have_count(2)
        expect(tab.locator("article").nth(1).locator(".sentence.rows")).to_contain_text("a dog sleeps")
        tab.get_by_role("button", name="Undo").click()
        expect(hypothesis).to_have_value("two cats sleep")


def test_what_its_rows_do_not_allow_is_said(tab: Page, pairs: Served) -> None:
    with serving(application([pairs], LIMITS)) as port:
        tab.goto(f"http://127.0.0.1:{port}/")
        actions = tab.get_by_role("group", name="Change this step")
        expect(actions).to_have_text(re.compile("^The rows are the tokens of “hypothesis”, not steps of the output"))
        expect(actions.get_by_role("button")).to_have_count(0)
        tab.locator("attend-matrix .scroll").focus()
        for key in ("o", "y"):
            tab.keyboard.press(key)
            expect(tab.locator(".said")).to_have_text(re.compile("not steps of the output"))
            tab.keyboard.press("ArrowDown")
        expect(outputs(tab)).to_have_count(1)


def test_what_an_answer_depends_on_can_be_asked(tab: Page) -> None:
    fields = {"premise": Text("word", 30), "hypothesis": Text("word", 30, like="premise")}
    values = {"premise": list(PAIR.values()), "hypothesis": list(PAIR.values())}
    config = entailment.Config(attention="attention", embedding=6, hidden=8)
    output = classes.Classes(), classes.Decoding()
    model = untrained(entailment.System, config, fields, *output, values, ["contradiction", "entailment"])
    with serving(application([adapted("at once", model, [PAIR])], LIMITS)) as port:
        tab.goto(f"http://127.0.0.1:{port}/#v=evidence")
        tab.get_by_role("button", name="Find out what the output depends on").click()
        expect(tab.locator(".why-table")).to_contain_text("leave-one-out")
        address = tab.url
        tab.goto("about:blank")
        tab.goto(address)
        expect(tab.locator(".why-table")).to_contain_text("gradient x input")


def test_what_was_written_goes_along_to_a_model_of_other_inputs(tab: Page, pairs: Served) -> None:
    with serving(application([Echo(examples=["a dog runs"]), pairs, Echo("second")], LIMITS)) as port:
        tab.goto(f"http://127.0.0.1:{port}/")
        expect(outputs(tab)).to_have_text(["A DOG RUNS"])
        model, text = tab.get_by_label("Model", exact=True), tab.get_by_label("Text to read")
        model.select_option("pairs")
        expect(tab.get_by_label("premise", exact=True)).to_have_value("a dog runs")
        expect(tab.get_by_label("hypothesis", exact=True)).to_have_value("")
        model.select_option("second")
        expect(text).to_have_value("a dog runs")
        text.fill("")
        model.select_option("pairs")
        for name, value in PAIR.items():  # nothing was written: an example
            expect(tab.get_by_label(name, exact=True)).to_have_value(value)
        tab.get_by_role("button", name="Read").click()
        expect(tab.locator("article .about").nth(1)).to_contain_text("model pairs")
        expect(tab.locator("attend-difference")).to_contain_text("they look at different inputs")


def test_pictures_among_several_inputs_are_uploaded(tab: Page, tmp_path: Path) -> None:
    path = tmp_path / "noise.png"
    Image.effect_noise((96, 96), 90).save(path)
    with serving(application([Mixed()], LIMITS)) as port:
        tab.goto(f"http://127.0.0.1:{port}/")
        expect(tab.get_by_text("Give caption and image above")).to_be_visible()
        caption = tab.get_by_label("caption", exact=True)
        caption.fill("two cats")
        caption.press("Enter")
        expect(tab.locator(".said")).to_have_text("Choose a picture for “image” first.")
        expect(tab.get_by_role("button", name="image: Choose a picture…")).to_be_focused()
        tab.locator("input[type=file][aria-label=image]").set_input_files(path)
        expect(tab.get_by_role("img", name="The picture that was chosen, image")).to_be_visible()
        expect(caption).to_have_value("two cats")
        caption.press("Enter")
        expect(outputs(tab)).to_have_text(["TWO CATS"])
        tab.get_by_role("button", name="Copy link").click()
        assert "q=" not in tab.url


@pytest.mark.skipif(not AXE.exists(), reason='axe-core is not here: "make page" installs it where Node is')
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("first", ["pairs", "mixed"])
def test_nothing_serious_is_wrong_with_several_boxes(tab: Page, pairs: Served, first: str, width: int) -> None:
    tab.set_viewport_size({"width": width, "height": 900})
    tab.add_init_script(AXE.read_text(encoding="utf-8"))
    model = pairs if first == "pairs" else Mixed()
    with serving(application([model, Echo()], LIMITS)) as port:
        tab.goto(f"http://127.0.0.1:{port}/")
        expect(tab.locator(".composer-field")).to_have_count(2)
        expect(outputs(tab)).to_have_count(len(model.examples))
        found = tab.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        assert [rule["id"] for rule in found["violations"] if rule["impact"] in ("serious", "critical")] == []
        assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
