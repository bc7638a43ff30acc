"""Heads over memory slots, drawn through time."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attend.attention.trace import Named, PictureEachStep, Trace, Weights
from attend.data.image import as_data_uri
from attend.show.export import write
from attend.show.slot_maps import slot_maps
from attend.show.slot_text import slot_text
from attend.show.slots import Slots, slots_of


def copying() -> Trace:
    """Two vectors are written to slots 1 and 2 of five, and read from there."""
    steps, memory = Named(("10", "01", "1", "0")), Named(tuple("12345"))
    write, read = (Weights(np.eye(5)[cells], steps, memory) for cells in ([0, 1, 1, 1], [0, 0, 0, 1]))
    content = Weights(np.full((4, 5), 0.2), steps, memory)
    looks = {"read": read, "write": write, "write: content": content}
    pictures = tuple(as_data_uri(np.full((1, 5, 3), shade, dtype=np.uint8)) for shade in (0, 51, 102, 255))
    return Trace("10 01", "1 0", looks, media={"write": PictureEachStep(pictures)})


def found(trace: Trace) -> Slots:
    slots = slots_of(trace)
    assert slots is not None
    return slots


def test_visited_slots_are_shown_and_all_others_summed():
    slots = found(copying())
    assert slots.labels == ["1", "2", "other"]
    assert [[head.name for head in heads] for heads in slots.kinds] == [["write"], ["read"]]
    (write,), _ = slots.kinds
    assert slots.rows(write.stages["content"])[0].tolist() == pytest.approx([0.2, 0.2, 0.6])
    assert slots.rows(write.weights).sum(1).tolist() == [1, 1, 1, 1]


def test_vectors_are_at_the_steps_of_input_and_output():
    slots = found(copying())
    assert slots.answered == 2
    assert np.isfinite(slots.input[:, 0]).tolist() == [True, True, False, False]
    assert slots.output[2:].tolist() == [[1], [0]]
    assert slots.describe(2) == "step 3 (output 1)"


def test_the_stages_of_a_step_end_in_its_weights():
    (write,), (read,) = found(copying()).kinds
    strips = write.strips(1)
    assert list(strips) == ["before", "content", "sharpen"]
    assert strips["before"].tolist() == write.weights[0].tolist()
    assert strips["sharpen"].tolist() == write.weights[1].tolist()
    assert np.isnan(write.strips(0)["before"]).all()
    assert read.strips(1) == {}


def test_the_memory_has_a_row_a_slot_after_each_step():
    memory = found(copying()).memory
    assert memory is not None
    assert memory.shape == (4, 5, 3)
    assert memory[:, 0, 0].tolist() == pytest.approx([0, 0.2, 0.4, 1])


def test_other_looks_have_no_slots():
    memory = Named(("1", "2"))
    looks = {"read": Weights(np.eye(2), Named(("a", "b")), memory)}
    assert slots_of(Trace("a", "b", looks)) is None
    with pytest.raises(ValueError, match="no heads"):
        slot_maps(Trace("a", "b", looks))


def test_a_gif_has_a_frame_for_each_step(tmp_path: Path):
    for name in ("x.gif", "x.svg"):
        write(tmp_path / name, copying())
    with Image.open(tmp_path / "x.gif") as image:
        assert getattr(image, "n_frames", 1) == 4
    assert "3 of 5 slots" in (tmp_path / "x.svg").read_text()


def test_a_figure_is_of_the_step_that_is_named(tmp_path: Path):
    slot_maps(copying(), tmp_path / "x.svg", 1)
    assert "step 2 (input 2)" in (tmp_path / "x.svg").read_text()
    with pytest.raises(ValueError, match="no step 5"):
        slot_maps(copying(), None, 4)


def test_a_long_sequence_stays_within_a_pages_width():
    names = tuple("01" * 200)
    look = Weights(np.eye(5)[np.arange(400) % 5], Named(names), Named(tuple("12345")))
    figure = slot_maps(Trace(" ".join(names), " ".join(names), {"read": look, "write": look}))
    assert figure.get_figwidth() < 14


def test_text_has_a_map_for_each_head_and_what_leads_to_a_step():
    lines = slot_text(found(copying()), 80, colour=False, step=1).splitlines()
    assert [line.split() for line in lines[:7]] == [
        ["input"],
        ["█·", "output"],
        ["·█", "█·"],
        ["write", "read", "memory", "after", "step", "2"],
        ["1", "█", "1", "███", "1", "░░░"],
        ["2", "███", "2", "█", "2", "░░░"],
        ["other", "other"],
    ]
    assert "  write: before 1 (1.00) -> content 1 (0.20) -> sharpen 2 (1.00)" in lines
    assert "  read: 1 (1.00)" in lines


def test_maps_that_are_wider_than_the_terminal_are_cut():
    maps = slot_text(found(copying()), 8, colour=False).partition("step 3 (output 1)")[0]
    rows = [line for line in maps.splitlines() if line.startswith("    1")]
    # Each of two heads twice, and the memory once.
    assert len(rows) == 5
    assert max(map(len, rows)) <= 9
