import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from attend.contract import Direction, Loss, Task
from attend.training import Interrupted, Progress, Training, check_training, rate, settled, train
from attend.weights import save_weights
from toy_run import ALONE, toy

TOY = Path(__file__).with_name("toy_run.py")


def program(
    folder: Path,
    *words: str,
    wait: float = 0.0,
    launcher: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    environment = os.environ | {"SLOW": str(wait), "OMP_NUM_THREADS": "1"} | dict(settings or {})
    return subprocess.Popen([sys.executable, *launcher, str(TOY), str(folder), *words], env=environment)


def wait_for(path: Path) -> None:
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"{path} never came")


def assert_same_weights(folder: Path, other: Path) -> None:
    for name in ("model", "last", "averaged"):
        found, expected = load_file(folder / f"{name}.safetensors"), load_file(other / f"{name}.safetensors")
        for key, value in expected.items():
            assert torch.equal(found[key], value), f"{name}: {key}"


def losses(folder: Path, name: str = "loss") -> list[tuple[int, float]]:
    """What a run logged of its losses, or of another figure."""
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [(line["update"], line[name]) for line in lines]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    toy(folder, False)
    return folder


@pytest.mark.parametrize(
    ("batches", "accumulate", "epochs"), [(1000, 1, 10), (101, 1, 100), (400, 1, 25), (400, 2, 50), (1, 1, 100)]
)
def test_epochs_follow_the_size_of_the_data(batches: int, accumulate: int, epochs: int):
    class Sized(Lines):
        def plan(self, epoch: int) -> list[list[int]]:
            return [[0]] * batches

    task = Sized()
    assert settled(Training(epochs=0, accumulate=accumulate), task).epochs == epochs
    assert settled(Training(epochs=7), task) == Training(epochs=7)


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_resumed_equals_one_never_stopped(stop: signal.Signals, whole: Path, tmp_path: Path):
    stopped = tmp_path
    with program(stopped, wait=0.2) as process:
        wait_for(stopped / "checkpoint.pt")
        time.sleep(1.0)
        process.send_signal(stop)
    assert process.returncode != 0
    assert not (stopped / "last.safetensors").exists()
    toy(stopped, True)
    assert_same_weights(stopped, whole)
    assert losses(stopped) == losses(whole)


def test_two_processes_learn_as_one(tmp_path: Path):
    # Two processes want a GPU each, or none.
    settings = {} if torch.cuda.device_count() > 1 else {"CUDA_VISIBLE_DEVICES": ""}
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    (tmp_path / "two").mkdir()
    with program(tmp_path / "two", launcher=launcher, settings=settings) as process:
        pass
    assert process.returncode == 0
    (tmp_path / "one").mkdir()
    toy(tmp_path / "one", False, ALONE)
    # The optimiser takes no notice of a gradient's scale; its norm does.
    for name in ("loss", "gradient_norm", "units"):
        one, two = losses(tmp_path / "one", name), losses(tmp_path / "two", name)
        assert [update for update, _ in two] == [update for update, _ in one]
        assert [value for _, value in two] == pytest.approx([value for _, value in one], rel=1e-3), name


@dataclass(frozen=True)
class Places:
    x: torch.Tensor


class Line(nn.Module):
    """y = w x, to see what an update does to w; and a count of batches learnt, as batch normalisation has."""

    count: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def forward(self, batch: Places) -> Loss:
        self.count += self.training
        total = ((self.weight - batch.x) ** 2).sum()
        return Loss(total, len(batch.x), {})


class Lines:
    """Examples 0 to 7; the best weight is their mean, 3.5. `quality` falls from the third validation on."""

    measures: Mapping[str, Direction] = {"quality": "higher"}

    def __init__(self) -> None:
        self.validations = 0

    def build(self) -> nn.Module:
        return Line()

    def plan(self, epoch: int) -> Sequence[Any]:
        return [[0, 1, 2], [3, 4, 5], [6, 7]]

    def batch(self, epoch: int, indices: Sequence[int]) -> Places:
        return Places(torch.tensor(indices, dtype=torch.float32))

    def validation(self) -> Iterator[Any]:
        yield self.batch(0, range(8))

    def measure(self, system: nn.Module) -> dict[str, float]:
        assert not system.training
        self.validations += 1
        return {"quality": -abs(self.validations - 2.0)}


def test_it_is_a_task_like_any_other():
    assert isinstance(Lines(), Task)


def learn(folder: Path, **fields: Any) -> tuple[float, Progress]:
    training = replace(Training(optimiser="sgd", schedule="constant", clip=0.0), **fields)
    progress = train(Lines(), training, folder, False, lambda *_: None)
    return float(load_file(folder / "last.safetensors")["weight"]), progress


def test_an_update_is_the_mean_gradient_over_all_units(tmp_path: Path):
    # The first batch's gradient at 0 is the mean of -2 x over 0, 1, 2.
    weight, _ = learn(tmp_path, epochs=1, learning_rate=0.5, accumulate=3)
    assert weight == pytest.approx(3.5)


def test_accumulated_batches_weigh_by_their_units_not_alike(tmp_path: Path):
    weight, progress = learn(tmp_path, epochs=2, learning_rate=0.25, accumulate=2)
    # Updates over 0..5, then 6 and 7; twice.
    expected = 0.0
    for mean in (2.5, 6.5) * 2:
        expected -= 0.25 * 2 * (expected - mean)
    assert weight == pytest.approx(expected)
    assert progress.update == 4


def test_a_gradient_is_limited_by_its_norm(tmp_path: Path):
    weight, _ = learn(tmp_path, epochs=1, learning_rate=1.0, accumulate=3, clip=0.1)
    assert weight == pytest.approx(0.1)


def test_patience_stops_and_the_best_weights_are_kept(tmp_path: Path):
    _, progress = learn(tmp_path, epochs=50, learning_rate=0.01, watch="quality", patience=3)
    assert progress.epoch == 5
    assert "quality" in progress.done
    best = float(load_file(tmp_path / "model.safetensors")["weight"])
    again = tmp_path / "again"
    again.mkdir()
    assert best == learn(again, epochs=2, learning_rate=0.01)[0]


def test_more_epochs_are_as_if_there_had_been_so_many_at_first(tmp_path: Path):
    (tmp_path / "once").mkdir()
    training = Training(epochs=4, optimiser="sgd", schedule="constant", learning_rate=0.01)
    train(Lines(), training, tmp_path / "once", False, lambda *_: None)
    train(Lines(), replace(training, epochs=2), tmp_path, False, lambda *_: None)
    assert train(Lines(), replace(training, epochs=2), tmp_path, True, lambda *_: None).epoch == 2
    assert train(Lines(), training, tmp_path, True, lambda *_: None).done == "4 epochs"
    expected = load_file(tmp_path / "once" / "last.safetensors")["weight"]
    assert torch.equal(load_file(tmp_path / "last.safetensors")["weight"], expected)


def test_fewer_epochs_than_there_have_been_are_refused(tmp_path: Path):
    def stop(progress: Progress, figures: dict[str, float]) -> None:
        if progress.update == 8:
            os.kill(os.getpid(), signal.SIGTERM)

    training = Training(epochs=4, learning_rate=0.01)
    with pytest.raises(Interrupted):
        train(Lines(), training, tmp_path, False, stop)
    with pytest.raises(ValueError, match=r"training\.epochs is 2, but the run has had 2"):
        train(Lines(), replace(training, epochs=2), tmp_path, True, lambda *_: None)


def test_patience_begins_anew_with_more_epochs(tmp_path: Path):
    learn(tmp_path, epochs=50, learning_rate=0.01, watch="quality", patience=3)
    training = Training(epochs=60, optimiser="sgd", schedule="constant", clip=0.0, learning_rate=0.01)
    how = replace(training, watch="quality", patience=3)
    assert train(Lines(), replace(how, epochs=50), tmp_path, True, lambda *_: None).epoch == 5
    assert train(Lines(), how, tmp_path, True, lambda *_: None).epoch > 5


def test_training_begins_with_the_weights_that_are_there(tmp_path: Path):
    save_weights(tmp_path / "initial.safetensors", {"weight": torch.tensor(2.0), "count": torch.tensor(7)}, {})
    weight, _ = learn(tmp_path, epochs=1, learning_rate=0.0)
    assert weight == 2.0
    assert int(load_file(tmp_path / "last.safetensors")["count"]) == 7 + 3


def test_where_what_is_watched_is_the_same_the_loss_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Lines, "measure", lambda *_: {"quality": 0.0})
    last, progress = learn(tmp_path, epochs=8, learning_rate=0.01, watch="quality", patience=3)
    assert progress.epoch == 8
    assert float(load_file(tmp_path / "model.safetensors")["weight"]) == last > 0.5


def test_where_bleu_is_about_zero_the_loss_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    noise = iter((0.4, 0.9, 0.3, 0.2, 0.1, 0.05, 0.04, 0.03))
    monkeypatch.setattr(Lines, "measures", {"bleu": "higher"})
    monkeypatch.setattr(Lines, "measure", lambda *_: {"bleu": next(noise)})
    last, progress = learn(tmp_path, epochs=8, learning_rate=0.01, watch="bleu", patience=3)
    assert progress.epoch == 8
    assert float(load_file(tmp_path / "model.safetensors")["weight"]) == last


def test_lower_is_better_where_the_task_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Lines, "measures", {"quality": "lower"})
    _, progress = learn(tmp_path, epochs=50, learning_rate=0.01, watch="quality", patience=3)
    # It falls from the second validation on, so that every one is better than that before.
    assert progress.epoch == 50
    assert progress.best == -48


def test_what_is_watched_must_be_measured(tmp_path: Path):
    with pytest.raises(ValueError, match=r"'bleu'.*loss, perplexity, quality"):
        learn(tmp_path, epochs=1, watch="bleu")


def test_perplexity_is_watched_where_there_is_a_likelihood(tmp_path: Path):
    with pytest.raises(ValueError, match="there is no likelihood here: watch 'loss'"):
        learn(tmp_path, epochs=1, watch="perplexity")


def test_tensorboard_is_asked_for_before_anything_is_done(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ValueError, match=r"pip install 'attend\[tensorboard\]'"):
        check_training(Lines(), Training(tensorboard=True))


def test_a_gradient_that_is_not_finite_stops_the_run(tmp_path: Path):
    with pytest.raises(ValueError, match="update 2 is not finite"):
        learn(tmp_path, epochs=50, learning_rate=1e38)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    original = Line.forward

    def forward(self: Line, batch: Places) -> Loss:
        loss = original(self, batch)
        return replace(loss, total=loss.total * math.nan) if int(self.count) > 4 else loss

    monkeypatch.setattr(Line, "forward", forward)
    with pytest.raises(ValueError, match=r"loss at update 5 is not finite.*training\.learning_rate"):
        learn(tmp_path, epochs=50, learning_rate=0.01)
    # What was saved before stays.
    kept = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert kept["progress"]["update"] == 3
    assert math.isfinite(float(load_file(tmp_path / "model.safetensors")["weight"]))


def test_a_validation_loss_far_above_the_first_stops_the_run(tmp_path: Path):
    with pytest.raises(ValueError, match=r"validation loss at update 6 .*training\.learning_rate.*update 3.*--init"):
        learn(tmp_path, epochs=50, learning_rate=1.1)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["progress"]["update"] == 3
    assert not (tmp_path / "last.safetensors").exists()


def test_a_loss_that_stays_far_above_the_first_stops_the_run_before_it_is_validated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Lines, "plan", lambda self, epoch: [[0]] * 20 + [[7]] * 500)
    with pytest.raises(ValueError, match=r"the loss at update 70 .*training\.learning_rate"):
        learn(tmp_path, epochs=1, learning_rate=1e-9, save_minutes=0.0)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["progress"]["update"] == 20
    again = tmp_path / "again"
    again.mkdir()
    # Once in a while a batch may be far off.
    monkeypatch.setattr(Lines, "plan", lambda self, epoch: ([[0]] * 20 + [[7]] * 40) * 5)
    monkeypatch.setattr(Lines, "validation", lambda self: iter([self.batch(0, [0])]))
    learn(again, epochs=1, learning_rate=1e-9)


def test_every_damaged_part_of_a_checkpoint_is_found(tmp_path: Path):
    train(Lines(), Training(epochs=2), tmp_path, False, lambda *_: None)
    path, found = tmp_path / "checkpoint.pt", 0
    content, last = path.read_bytes(), (tmp_path / "last.safetensors").read_bytes()
    values = content.index(b"data/0")
    for place in range(values, len(content), 97):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        (tmp_path / "last.safetensors").unlink(missing_ok=True)
        try:
            train(Lines(), Training(epochs=2), tmp_path, True, lambda *_: None)
        except ValueError as error:
            said = str(error)
        else:  # nothing depends on what is between the parts
            assert (tmp_path / "last.safetensors").read_bytes() == last
            continue
        assert str(path) in said
        found += 1
    assert found > 10


def test_what_belongs_to_another_training_is_not_gone_on_with(tmp_path: Path):
    training = Training(epochs=2)
    origin = {"settings": {"training": asdict(training)}, "kept": {}}
    train(Lines(), training, tmp_path, False, lambda *_: None, origin)
    other = {"settings": {"training": asdict(training) | {"learning_rate": 0.5}}, "kept": {}}
    with pytest.raises(ValueError, match=r"config\.json: training\.learning_rate was 0\.001, and is 0\.5 now"):
        train(Lines(), replace(training, learning_rate=0.5), tmp_path, True, lambda *_: None, other)


def test_half_precision_is_refused_on_a_cpu_that_is_not_made_for_it(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("attend.training.bf16_speed", lambda: 0.3)
    with pytest.raises(ValueError, match=r"0\.3 times as fast as in float32"):
        learn(tmp_path, precision="bf16")
    monkeypatch.setattr("attend.training.bf16_speed", lambda: 2.0)
    learn(tmp_path, precision="bf16")


def test_the_average_follows_the_weights(tmp_path: Path):
    learn(tmp_path, epochs=1, learning_rate=0.5, accumulate=3, average=0.9)
    average = float(load_file(tmp_path / "averaged.safetensors")["weight"])
    assert average == pytest.approx((1 - 1 / 10) * 3.5)  # after one update it keeps a tenth of the first weights
    assert float(load_file(tmp_path / "model.safetensors")["weight"]) == pytest.approx(average)
    assert int(load_file(tmp_path / "averaged.safetensors")["count"]) == 3


def test_resuming_what_is_no_checkpoint_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="does not exist"):
        train(Lines(), Training(), tmp_path, True, lambda *_: None)
    (tmp_path / "checkpoint.pt").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="not a checkpoint"):
        train(Lines(), Training(), tmp_path, True, lambda *_: None)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"{}")])
def test_resuming_without_the_best_weights_is_refused(damage: Callable[[Path], Any], tmp_path: Path):
    learn(tmp_path, epochs=2)
    damage(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"model\.safetensors .*: put it back, or remove .*checkpoint\.pt"):
        train(Lines(), Training(epochs=4), tmp_path, True, lambda *_: None)


def test_a_log_line_cut_short_by_a_kill_does_not_stop_a_resumed_run(tmp_path: Path):
    def stop(progress: Progress, figures: dict[str, float]) -> None:
        if progress.update == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    training = Training(epochs=4, optimiser="sgd", schedule="constant", learning_rate=0.1)
    with pytest.raises(Interrupted):
        train(Lines(), training, tmp_path, False, stop)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"update": 6, "lo')
    assert train(Lines(), training, tmp_path, True, lambda *_: None).epoch == 4
    assert [update for update, _ in losses(tmp_path)] == [3, 6, 9, 10, 12]


@pytest.mark.parametrize(
    ("name", "value"), [("epochs", -1), ("accumulate", 0), ("threads", 0), ("warmup", -1), ("average", 1.0)]
)
def test_settings_out_of_range_are_refused(name: str, value: float):
    with pytest.raises(ValueError, match=f"{name} must be at least"):
        replace(Training(), **{name: value})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"schedule": "constant", "warmup": 4}, [0.25, 0.5, 0.75, 1.0, 1.0]),
        ({"schedule": "cosine", "epochs": 2}, [1.0, 0.5 * (1 + 2**-0.5), 0.5, 0.5 * (1 - 2**-0.5), 0.0]),
        (
            {"schedule": "cosine", "epochs": 3, "warmup": 1},
            [1.0, 1.0, *(math.cos(k * math.pi / 10) ** 2 for k in (1, 2, 3))],
        ),
        ({"schedule": "inverse-sqrt", "warmup": 1}, [1.0, 2**-0.5, 3**-0.5, 4**-0.5, 5**-0.5]),
    ],
)
def test_schedules(fields: dict[str, Any], expected: list[float]):
    training = replace(Training(learning_rate=1.0), **fields)
    found = [rate(training, Progress(update=update), updates_an_epoch=2) for update in range(5)]
    assert found == pytest.approx(expected)


def test_a_warm_up_takes_a_fifth_of_all_updates_at_most():
    training = Training(learning_rate=1.0, schedule="constant", epochs=2, warmup=400)
    found = [rate(training, Progress(update=update), updates_an_epoch=10) for update in range(6)]
    assert found == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 1.0])


def test_halving_begins_after_five_epochs():
    training = Training(learning_rate=0.7, schedule="halving")
    found = [rate(training, Progress(update=update), updates_an_epoch=10) for update in (0, 49, 50, 54, 55, 59, 60)]
    assert found == pytest.approx([0.7, 0.7, 0.35, 0.35, 0.175, 0.175, 0.0875])


def test_the_plateau_halves_when_told():
    training = Training(learning_rate=1.0, schedule="plateau")
    assert rate(training, Progress(halvings=3), 10) == pytest.approx(0.125)


class Dice(Lines):
    """A system whose loss is a matter of chance, while it is measured too."""

    class System(Line):
        def forward(self, batch: Places) -> Loss:
            return Loss(torch.rand(()) + 0 * self.weight, 1, {})

    def build(self) -> nn.Module:
        return self.System()


def test_the_chance_in_validation_is_the_same_each_time_and_none_of_trainings(tmp_path: Path):
    def lines(name: str, validate_every: int) -> list[dict[str, Any]]:
        (tmp_path / name).mkdir()
        training = Training(epochs=20, clip=0.0, validate_every=validate_every)
        train(Dice(), training, tmp_path / name, False, lambda *_: None)
        return [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]

    often, seldom = lines("often", 7), lines("seldom", 60)
    measured = {line["valid_loss"] for line in often if "valid_loss" in line}
    assert len(measured) == 1
    learnt = [[line["loss"] for line in found if line["update"] % 10 == 0] for found in (often, seldom)]
    assert len(learnt[0]) == 6
    assert learnt[0] == learnt[1]
    assert len(set(learnt[0])) > 1
