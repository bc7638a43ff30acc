"""What axe finds wrong with the page: nothing serious, in light and dark, wide and narrow."""

import json
from collections.abc import Callable
from pathlib import Path

import golden
import pytest
from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"
VIEWS = "v=matrix.arcs.strips.picture.windows.alternatives.beam.evidence.difference"


@pytest.mark.skipif(not AXE.exists(), reason='axe-core is not here: "make page" installs it where Node is')
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_serious_is_wrong(opened: Callable[..., Page], tab: Page, scheme: str, width: int) -> None:
    tab.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    tab.set_viewport_size({"width": width, "height": 900})
    tab.add_init_script(AXE.read_text(encoding="utf-8"))
    cases = [
        ((golden.subwords(), golden.odd()), f"{VIEWS}&u=word&p=2_2"),
        ((golden.caption(), golden.glimpses()), f"{VIEWS}&s=0.1"),
        ((golden.right_to_left(),), "t=1"),
        ((golden.large(80, 80),), VIEWS),
        ((golden.memory(),), "v=memory"),
        ((golden.entailment(two_way=True), golden.at_once()), f"{VIEWS}&s=0.1"),
    ]
    for traces, address in cases:
        page = opened(*traces, address=address)
        page.locator("article").first.wait_for()
        # Text in pictures is checked too; what is faded is so by choice, and is not faded here.
        found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        serious = [
            {"rule": rule["id"], "impact": rule["impact"], "where": [node["html"][:200] for node in rule["nodes"][:3]]}
            for rule in found["violations"]
            if rule["impact"] in ("serious", "critical")
        ]
        assert serious == [], json.dumps(serious, indent=1)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
