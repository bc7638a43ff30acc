"""The explorer's pictures in these pages, taken anew from a run of the dates demo: `make screenshots RUN=runs/demo`.

Also writes docs/dates.html, the page of one date, as `attend show --out` does; and with more runs, given as
`--translation RUN`, `--glimpses RUN`, `--captions RUN` and `--copying RUN`, docs/translation.html and so on.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
ATTEND = Path(sys.executable).with_name("attend")
DATE = "Samstag, 3. Mai 2008"
# What else there may be a page of, and of which input: a sentence of nobody's data, and images of the run's own.
INPUTS = {
    "translation": "two girls in red jackets throw a ball for a small brown dog on the beach .",
    "glimpses": "valid:9",
    "captions": "valid:1",
    "copying": "valid:1",
}
# Of these there is a picture, too.
PICTURED = ("copying",)
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@contextmanager
def serving(run: Path) -> Iterator[str]:
    command = [str(ATTEND), "serve", str(run), "--port", "0", "--text", DATE]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        try:
            line = process.stderr.readline()
            found = re.search(r"http://localhost:\d+/", line)
            if not found:
                sys.exit(f"the server did not start: {line}")
            yield found[0]
        finally:
            process.terminate()


def take(page: Page, name: str) -> None:
    page.wait_for_timeout(400)  # until what fades has faded
    page.screenshot(path=HERE / f"{name}.png")
    print(HERE / f"{name}.png")


def point(page: Page, row: int, column: int) -> None:
    """Move to a cell of the first matrix with the keyboard."""
    page.locator("attend-matrix .scroll").first.focus()
    for key in ["ArrowDown"] * row + ["ArrowRight"] * column:
        page.keyboard.press(key)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a run of the dates demo")
    for name in INPUTS:
        parser.add_argument(f"--{name}", type=Path, help="a run to write another page of")
    arguments = parser.parse_args()
    for name, text in INPUTS.items():
        if (other := getattr(arguments, name)) is not None:
            suffixes = ("html", "png") if name in PICTURED else ("html",)
            files = [str(HERE / f"{name}.{suffix}") for suffix in suffixes]
            subprocess.run([str(ATTEND), "show", str(other), text, "--out", *files], check=True)
    run = arguments.run
    subprocess.run([str(ATTEND), "show", str(run), DATE, "--out", str(HERE / "dates.html")], check=True)
    path = os.environ.get("ATTEND_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright, serving(run) as address:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(60_000)
        page.goto(address)
        page.locator("attend-matrix svg").first.wait_for()
        point(page, 6, 12)
        take(page, "explorer")
        page.keyboard.press("ArrowLeft")
        for _ in range(6):
            page.keyboard.press("ArrowLeft")
        page.keyboard.press("o")
        page.locator("article").nth(1).wait_for()
        take(page, "explorer-beside")
        page.goto("about:blank")
        page.goto(f"{address}#v=beam.alternatives.evidence&p=6_12")  # the month is pinned
        page.get_by_role("button", name="Find out").click()
        page.locator(".why-table").wait_for()
        page.set_viewport_size({"width": 1280, "height": 1300})
        page.locator("attend-beam").evaluate("element => element.scrollIntoView({ block: 'start' })")
        take(page, "explorer-why")
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto((HERE / "captions.html").as_uri())
        page.locator("attend-picture .stage").focus()
        for _ in range(7):  # to "diamond"
            page.keyboard.press("ArrowRight")
        take(page, "explorer-picture")
        page.close()
        narrow = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
        narrow.goto((HERE / "dates.html").as_uri())
        narrow.locator("attend-matrix svg").first.wait_for()
        point(narrow, 6, 12)
        take(narrow, "explorer-narrow")
        browser.close()


if __name__ == "__main__":
    main()
