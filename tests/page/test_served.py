"""The page over a server: asking again, and asking otherwise."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

sys.path.insert(0, str(Path(__file__).parents[1] / "serve"))
from echo import LIMITS, Echo, serving

from attend.serve.application import application


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
