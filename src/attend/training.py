"""The one training loop: it knows tasks and losses, no system and no data.

Accelerate gives it devices and processes. A batch is planned for all processes together and each takes its
share, and a loss is a sum over units (tokens, pictures) divided by the units of the whole batch: so several processes,
or several accumulated batches, give the numbers of one.

Everything that decides what comes next is in `checkpoint.pt`, written at the end of each epoch, every few minutes and
when the run is asked to stop: a run that was killed and resumed ends with the weights of one that was not.
"""

import math
import os
import resource
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, is_dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal
from zipfile import BadZipFile, ZipFile

import torch
import torch.distributed.nn.functional  # before there is a group of processes: its functions' defaults would keep that
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from attend.atomic import write_atomically
from attend.contract import Follows, Loss, Starts, Task
from attend.fast import keep_memory
from attend.log import Log, summary_writer
from attend.memory import kept_for_backward, require, said_when_out
from attend.precision import WORTH_IT, bf16_speed
from attend.progress import OF_LOSS, Progress, Report, say
from attend.settings import check_range
from attend.weights import UNKNOWN_ORIGIN, Origin, check_resumed, read_weights, save_weights

# A loss has diverged when it is above the first by so many times the size of that, and by so much more.
FAR_TIMES, FAR_ABOVE = 4, 10.0
# Epochs that follow the size of the data make so many updates, and are from so many to so many.
UPDATES, LEAST_EPOCHS, MOST_EPOCHS = 10_000, 10, 100
# So many updates in a row, between validations: a single batch may be far off.
IN_A_ROW = 50
# Examples of a batch that could need more memory than there is.
MANY = 256
SMALLER = "choose a smaller --training.batch (or --training.batch-tokens, which wins over it)"
# Up to these values a measure is noise: no output is good yet, and weights are told apart by their loss.
ABOUT_ZERO: Mapping[str, float] = {"bleu": 1.0, "bleu4": 1.0}


@dataclass(frozen=True)
class Training:
    """How a system learns."""

    seed: int = 1
    """Of the first weights, the order of batches, dropout and sampling."""
    epochs: int = 30
    """Passes over the training data, unless patience runs out before; 0 for as many as make 10,000 updates, from 10 to
    100."""
    batch: int = 64
    """Examples to a batch; those of like length go together."""
    batch_tokens: int = 0
    """Greatest size of a batch instead, in padded tokens of its longer side; 0 to go by `batch`."""
    optimiser: Literal["adam", "adadelta", "sgd"] = "adam"
    """Adam (0.9, 0.999), Adadelta (0.95, epsilon 1e-6: Bahdanau et al. 2014) or plain SGD (Sutskever et al. 2014)."""
    learning_rate: float = 1e-3
    """The highest rate; the schedule lowers it."""
    schedule: Literal["constant", "inverse-sqrt", "cosine", "plateau", "halving"] = "cosine"
    """After the warm-up: constant; sqrt(warmup / update); a cosine down to zero at the last epoch; halved when a
    validation is no better than the best; halved every half epoch after the fifth (Sutskever et al. 2014)."""
    warmup: int = 0
    """Updates over which the rate rises from zero; a fifth of all updates if those are fewer."""
    mean_over: Literal["units", "examples"] = "units"
    """What the gradient is a mean over: the loss's units (target tokens), or examples, as in the papers of 2014, whose
    rates and limits are for the gradient of a whole sentence."""
    clip: float = 1.0
    """Largest norm of that gradient; 0 for no limit."""
    accumulate: int = 1
    """Batches to an update."""
    patience: int = 0
    """Stop after this many validations without a better one; 0 to go through all epochs."""
    watch: str = "loss"
    """What "better" means: "loss", or what the task measures, such as "bleu" or "exact_match"."""
    measured: int = 0
    """Validation examples that are predicted from at each validation, evenly chosen; 0 for all."""
    average: float = 0.0
    """Decay of the running average of the weights, such as 0.999; it is what is validated and kept. 0 for none."""
    validate_every: int = 0
    """Updates between validations; 0 for once an epoch."""
    save_minutes: float = 5.0
    """Time between checkpoints."""
    threads: int = 1
    """CPU threads. Small recurrent models gain little from more, and lose much when anything else runs."""
    precision: Literal["float32", "bf16"] = "float32"
    """bf16 takes large products in bfloat16, for a GPU or a CPU that has instructions for it: "attend doctor" says."""
    tensorboard: bool = False
    """Write TensorBoard events into the run folder too."""

    def __post_init__(self) -> None:
        check_range(self, "batch accumulate threads", 1)
        check_range(self, "seed", 0, 2**63)
        check_range(
            self, "epochs batch_tokens measured warmup clip patience validate_every save_minutes learning_rate", 0
        )
        check_range(self, "average", 0, 1)


class Interrupted(Exception):  # noqa: N818 - not an error: the user asked for it
    """The run was asked to stop (Ctrl-C, SIGTERM) and has saved itself; `signal` says by what."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.signal = number


def rate(training: Training, progress: Progress, updates_an_epoch: int) -> float:
    """The learning rate of the next update."""
    update, updates = progress.update + 1, training.epochs * updates_an_epoch
    # On little data a warm-up made for much would last to the end.
    warmup = min(training.warmup, updates // 5)
    factor = min(1.0, update / warmup) if warmup else 1.0
    past = max(0, update - 1 - warmup)
    match training.schedule:
        case "inverse-sqrt":
            factor *= (max(warmup, 1) / max(warmup, update)) ** 0.5
        case "cosine":
            length = max(1, updates - warmup)
            factor *= 0.5 * (1 + math.cos(math.pi * min(1.0, past / length)))
        case "halving":
            factor *= 0.5 ** max(0, math.ceil(2 * (update / updates_an_epoch - 5)))
        case "plateau":
            factor *= 0.5**progress.halvings
        case "constant":
            pass
    return training.learning_rate * factor


def settled(training: Training, task: Task) -> Training:
    """With the number of epochs, where that follows the size of the data."""
    if training.epochs:
        return training
    wanted = math.ceil(UPDATES * training.accumulate / len(task.plan(0)))
    return replace(training, epochs=min(MOST_EPOCHS, max(LEAST_EPOCHS, wanted)))


def optimiser(training: Training, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    match training.optimiser:
        case "adam":
            return torch.optim.Adam(parameters, training.learning_rate, fused=True)
        case "adadelta":
            return torch.optim.Adadelta(parameters, training.learning_rate, rho=0.95, eps=1e-6, foreach=True)
        case "sgd":
            return torch.optim.SGD(parameters, training.learning_rate, foreach=True)


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them; a second one does what it always does."""
    received: list[int] = []

    def receive(number: int, frame: Any) -> None:
        received.append(number)
        signal.signal(number, previous[signal.Signals(number)])

    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, receive) for number in numbers}
    try:
        yield received
    finally:
        for number in numbers:
            signal.signal(number, previous[number])


def repeat_on_gpu() -> None:
    """Have the same seed give the same numbers on a GPU too, where sums are otherwise taken in any order.

    torch warns of an operation that has no such form.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    # What is never read needs no filling.
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]


class Run:
    """A run in its folder: weights, optimiser and progress, and how they are saved."""

    def __init__(self, task: Task, training: Training, folder: Path, origin: Origin) -> None:
        self.task, self.training, self.folder, self.origin = task, training, folder, origin
        # The run's settings say the precision, not the launcher's environment.
        self.accelerator = Accelerator(mixed_precision="no", cpu=not torch.cuda.is_available())
        self.device: torch.device = self.accelerator.device
        torch.set_num_threads(training.threads)
        torch.set_flush_denormal(True)
        keep_memory()
        if self.device.type == "cuda":
            repeat_on_gpu()
        torch.manual_seed(training.seed)
        self.system = task.build()
        if isinstance(self.system, Starts):
            self.system.prepare_training()
        if (initial := folder / "initial.safetensors").exists():
            self.system.load_state_dict(read_weights(initial)[0])
        self.follows = self.system if isinstance(self.system, Follows) else None
        self.wrapped = self.accelerator.prepare_model(self.system)
        self.average = {}
        if training.average:
            self.average = {name: value.detach().clone() for name, value in self.system.state_dict().items()}
        self.parameters = [parameter for parameter in self.system.parameters() if parameter.requires_grad]
        self.optimiser = optimiser(training, self.parameters)
        # Processes differ in what they drop and sample, not in where they start.
        torch.manual_seed(training.seed + self.accelerator.process_index)
        self.progress = Progress()

    def summed(self, value: Tensor) -> Tensor:
        """The sum over all processes."""
        total = self.accelerator.reduce(value.to(self.device), "sum")
        assert isinstance(total, Tensor)
        return total

    def gathered(self, value: Tensor) -> Tensor:
        """Every process's value, a row each."""
        rows = self.accelerator.gather(value.unsqueeze(0).to(self.device))
        assert isinstance(rows, Tensor)
        return rows.cpu()

    def save(self) -> None:
        random = {"cpu": self.gathered(torch.get_rng_state())}
        if self.device.type == "cuda":
            random["cuda"] = self.gathered(torch.cuda.get_rng_state())
        if not self.accelerator.is_main_process:
            return
        state = {
            "progress": asdict(self.progress),
            "system": self.system.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "random": random,
            "origin": self.origin,
        }

        def write(partial: Path) -> None:
            try:
                torch.save(state, partial)
            except RuntimeError as error:  # a full disk is one, without a word of it: a plain file says it
                with partial.open("ab") as file:
                    file.write(bytes(1 << 20))
                raise OSError(str(error).split("\n")[0]) from error

        write_atomically(self.folder / "checkpoint.pt", write)

    def restore(self) -> None:
        """Go on from `checkpoint.pt`. Raises `ValueError` if there is none, or it is damaged or of another system."""
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            raise ValueError(f"{path} does not exist: the run was stopped before its first checkpoint; start it anew")
        try:
            with ZipFile(path) as parts:  # torch reads what is damaged without a word
                if (damaged := parts.testzip()) is not None:
                    raise ValueError(f"it is damaged, in {damaged}")
            state = torch.load(path, map_location=self.device, weights_only=True)
            self.system.load_state_dict(state["system"])
            self.optimiser.load_state_dict(state["optimiser"])
        except (RuntimeError, KeyError, TypeError, ValueError, EOFError, BadZipFile, UnpicklingError) as error:
            reason = str(error).strip().split("\n")[0] or type(error).__name__
            raise ValueError(f"{path} is not a checkpoint of this run ({reason}): remove it to start anew") from error
        for change in check_resumed(state.get("origin", UNKNOWN_ORIGIN), self.origin, path):
            say(change)
        written, here = len(state["random"]["cpu"]), self.accelerator.num_processes
        if written != here:
            raise ValueError(f"{path} was written by {written} processes, not {here}: resume with as many")
        self.average = state["average"]
        self.progress = Progress(**state["progress"])
        if self.progress.best_update:
            self.check_best()
        torch.set_rng_state(state["random"]["cpu"][self.accelerator.process_index].cpu())
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["random"]["cuda"][self.accelerator.process_index].cpu())

    def check_best(self) -> None:
        """Raise `ValueError` if the best weights so far are not there any more: a run may find no better ones."""
        try:
            read_weights(self.folder / "model.safetensors")
        except ValueError as error:
            raise ValueError(
                f"{error}, and with it the best weights so far are lost: put it back, or remove"
                f" {self.folder / 'checkpoint.pt'} to train anew"
            ) from error

    def share(self, indices: Sequence[int]) -> tuple[Any, int]:
        """This process's share of a planned batch, and its weight in the loss.

        Every process takes part in every backward pass: where there are fewer examples than processes, with weight 0.
        """
        mine = indices[self.accelerator.process_index :: self.accelerator.num_processes]
        batch = self.task.batch(self.progress.epoch, mine or indices[:1])
        return to_device(batch, self.device), int(bool(mine))

    def autocast(self) -> torch.autocast:
        """For a forward pass: bf16 needs nothing more, unlike float16, whose gradients must be scaled."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.training.precision == "bf16")

    def update(self, group: Sequence[Sequence[int]], learning_rate: float) -> dict[str, float]:
        """One optimiser step over the batches of `group`. Returns the figures of the update, per unit."""
        sums: dict[str, Tensor] = {}
        if self.follows is not None:
            self.follows.follow_training(self.progress.update / max(1, self.progress.updates_expected))
        for position, indices in enumerate(group):
            batch, weight = self.share(indices)
            last = position == len(group) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.wrapped), self.autocast():
                loss: Loss = self.wrapped(batch)
            if self.training.watch == "perplexity" and "nll" not in loss.terms:
                raise ValueError("training.watch is 'perplexity', but there is no likelihood here: watch 'loss'")
            self.accelerator.backward(weight * loss.total)
            found = {"units": loss.total.new_tensor(float(loss.units)), "loss": loss.total, **loss.terms}
            for name, value in found.items():
                sums[name] = sums.get(name, torch.zeros((), device=self.device)) + weight * value.detach()
        totals = self.summed(torch.stack([sums[name] for name in sums])).tolist()
        figures = dict(zip(sums, totals, strict=True))
        units = figures.pop("units")
        if not math.isfinite(figures["loss"]):
            raise self.diverged(f"the loss at update {self.progress.update + 1} is not finite", learning_rate)
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        # Processes' gradients were averaged; what is wanted is their sum, per unit or per example.
        over = units if self.training.mean_over == "units" else sum(map(len, group))
        scale = self.accelerator.num_processes / over
        norm = scale * float(get_total_norm(gradients))
        if not math.isfinite(norm):
            raise self.diverged(f"the gradient at update {self.progress.update + 1} is not finite", learning_rate)
        if self.training.clip and norm > self.training.clip:
            scale *= self.training.clip / norm
        torch._foreach_mul_(gradients, scale)  # pyright: ignore[reportPrivateImportUsage]
        for parameters in self.optimiser.param_groups:
            parameters["lr"] = learning_rate
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        if self.training.average:
            # Early on, an average over no more than has been.
            decay = min(self.training.average, (1 + self.progress.update) / (10 + self.progress.update))
            pairs = [(self.average[name], value) for name, value in self.system.state_dict().items()]
            # Batch normalisation counts what it has seen: of a count there is no mean.
            means, new = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
            torch._foreach_lerp_(means, new, 1 - decay)  # pyright: ignore[reportPrivateImportUsage]
            for mean, value in pairs:
                if not mean.is_floating_point():
                    mean.copy_(value)
        per_unit = {name: value / units for name, value in figures.items()}
        return per_unit | {"gradient_norm": norm, "learning_rate": learning_rate, "units": units}

    def far(self, loss: float) -> bool:
        """Whether a loss is far above the one that training began with."""
        first = self.progress.first_loss
        return loss > first + FAR_TIMES * abs(first) + FAR_ABOVE

    def diverged(self, what: str, learning_rate: float | None = None) -> ValueError:
        """The error for training that has failed. All that was saved before stays."""
        reached = f", at a learning rate of {learning_rate:.2g}" if learning_rate is not None else ""
        remedy = "lower training.learning_rate, or set training.clip, and train anew"
        if best := self.progress.best_update:
            remedy += f" (from the best weights so far, of update {best:,}, with --init {self.folder})"
        return ValueError(f"{what}{reached}: training has diverged; {remedy}")

    def agreed(self, value: bool) -> bool:
        """Whether any process says so: what happens next must be the same in all."""
        return float(self.summed(torch.tensor(float(value)))) > 0

    @contextmanager
    def validated_weights(self) -> Iterator[nn.Module]:
        """The system as it is validated and kept: with averaged weights where there is an average."""
        self.system.eval()
        if not self.training.average:
            yield self.system
        else:
            plain = {name: value.clone() for name, value in self.system.state_dict().items()}
            self.system.load_state_dict(self.average)
            yield self.system
            self.system.load_state_dict(plain)
        self.system.train()

    def validate(self) -> None:
        """Measure, and keep the weights if they are the best so far."""
        progress, watch = self.progress, self.training.watch
        # What chance is left in measuring (noise, random places) is the same each time, and takes none from training.
        devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        with self.validated_weights() as system, torch.random.fork_rng(devices):
            torch.manual_seed(0)
            metrics = validation_loss(system, self.task, self.device)
            if not math.isfinite(metrics["loss"]) or self.far(metrics["loss"]):
                began = f"where training began at {progress.first_loss:.3g}"
                raise self.diverged(
                    f"the validation loss at update {progress.update:,} is {metrics['loss']:.3g}, {began}"
                )
            metrics |= self.task.measure(system)
            lower = watch in OF_LOSS or self.task.measures[watch] == "lower"
            value = metrics[watch] if lower else -metrics[watch]
            if abs(value) <= ABOUT_ZERO.get(watch, 0.0):
                value = 0.0
            # Where a figure can't tell two weights apart (no output is right yet, or all are), the loss does.
            if (value, metrics["loss"]) < (progress.best, progress.best_loss):
                progress.best, progress.best_loss = value, metrics["loss"]
                progress.best_update, progress.validations_since_best = progress.update, 0
                if self.accelerator.is_main_process:
                    save_weights(self.folder / "model.safetensors", system.state_dict(), self.origin)
            else:
                progress.validations_since_best += 1
                progress.halvings += self.training.schedule == "plateau"
        progress.metrics = metrics


def validation_loss(system: nn.Module, task: Task, device: torch.device) -> dict[str, float]:
    """Mean loss per unit on the validation part (without smoothing, dropout off); the exponential of that of tokens."""
    total, units, likelihood = 0.0, 0, True
    with torch.inference_mode():
        for batch in task.validation():
            loss: Loss = system(to_device(batch, device))
            total, units, likelihood = total + float(loss.total), units + loss.units, likelihood and "nll" in loss.terms
    found = {"loss": total / units}
    return found | {"perplexity": math.exp(min(total / units, 700.0))} if likelihood else found


def to_device(batch: Any, device: torch.device) -> Any:
    """A batch with all its tensors on `device`, those in its records and mappings too."""
    if device.type == "cpu":
        return batch
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, Mapping):
        return {name: to_device(value, device) for name, value in batch.items()}
    if is_dataclass(batch):
        return replace(batch, **{name: to_device(value, device) for name, value in vars(batch).items()})  # type: ignore[type-var]
    return batch


def check_training(task: Task, training: Training) -> None:
    """Raise `ValueError` if this machine, or this task, can't be trained so."""
    if training.watch not in (known := ("loss", "perplexity", *task.measures)):
        raise ValueError(f"training.watch is {training.watch!r}, but what is measured is {', '.join(known)}")
    if training.tensorboard:
        summary_writer()
    if training.threads > (cores := os.cpu_count() or 1):
        raise ValueError(f"training.threads is {training.threads}, but this machine has {cores} core(s)")
    if training.precision == "bf16" and not torch.cuda.is_available() and (speed := bf16_speed()) < WORTH_IT:
        raise ValueError(
            f"training.precision bf16 is of no use on this CPU: it takes products in bf16 {speed:.1f} times as fast as"
            " in float32. Use float32."
        )


def check_memory(task: Task, system: nn.Module) -> None:
    """Raise `ValueError` if an update on the largest batch needs more memory than is free: estimated from two of its
    examples, where it has so many that they could."""
    largest = max(task.plan(0), key=len)
    if len(largest) > MANY:
        few = [largest[0], largest[-1]]
        needed = kept_for_backward(system.train(), task.batch(0, few)) * len(largest) / len(few)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        require(needed, device, f"training on {len(largest):,} examples at once", SMALLER)


def train(
    task: Task, training: Training, folder: Path, resume: bool, report: Report, origin: Origin = UNKNOWN_ORIGIN
) -> Progress:
    """Train in `folder`; `report` is told of every update and, with its metrics, of every validation.

    Begins with `initial.safetensors`, where that is there. What is saved says that it is of this `origin`.
    Leaves `model.safetensors` (the best validation), `last.safetensors`, `averaged.safetensors` (with an average) and
    `log.jsonl`. Raises `Interrupted` after saving when asked to stop, `ValueError` when it can't go on.
    """
    check_training(task, training)
    training = settled(training, task)
    run = Run(task, training, folder, origin)
    if resume:
        run.restore()
    progress, main = run.progress, run.accelerator.is_main_process
    expect(progress, training.epochs)
    log = Log(folder, progress.update, training.tensorboard) if main else None
    updates_an_epoch = math.ceil(len(task.plan(0)) / training.accumulate)
    progress.updates_expected = training.epochs * updates_an_epoch
    saved = time.monotonic()
    started, cpu_started = saved - progress.seconds, time.process_time() - progress.cpu_seconds
    run.system.train()
    high = 0  # updates in a row whose loss is far above the first
    with stop_signals() as received, said_when_out(SMALLER):
        while not progress.done:
            plan = task.plan(progress.epoch)
            while progress.batch < len(plan) and not progress.done:
                group = plan[progress.batch : progress.batch + training.accumulate]
                figures = run.update(group, rate(training, progress, updates_an_epoch))
                if math.isnan(progress.first_loss):
                    progress.first_loss = figures["loss"]
                high = high + 1 if run.far(figures["loss"]) else 0
                progress.update += 1
                if high == IN_A_ROW:
                    began = f"where it began at {progress.first_loss:.3g}"
                    raise run.diverged(
                        f"the loss at update {progress.update:,} is {figures['loss']:.3g}, {began}",
                        figures["learning_rate"],
                    )
                progress.batch += len(group)
                progress.units += int(figures["units"])
                end = progress.batch >= len(plan)
                every = training.validate_every
                if end if not every else progress.update % every == 0:
                    run.validate()
                    figures |= {f"valid_{name}": value for name, value in progress.metrics.items()}
                progress.seconds = time.monotonic() - started
                progress.cpu_seconds = time.process_time() - cpu_started
                if log:
                    log.write(progress, figures)
                    report(progress, figures)
                if training.patience and progress.validations_since_best >= training.patience:
                    progress.done = f"no better {training.watch} in {training.patience} validations"
                elif end and progress.epoch + 1 >= training.epochs:
                    progress.done = f"{training.epochs} epochs"
                if end:
                    progress.epoch, progress.batch = progress.epoch + 1, 0
                stop = run.agreed(bool(received))
                # What is diverging is not to replace what was good.
                due = not high and time.monotonic() - saved > 60 * training.save_minutes
                if stop or end or progress.done or run.agreed(due):
                    run.save()
                    saved = time.monotonic()
                if stop and not progress.done:
                    raise Interrupted(max(received, default=signal.SIGTERM))
                if end:
                    break
    if progress.best_update == 0:
        run.validate()  # no validation came within so few updates
        run.save()
    if main:
        save_weights(folder / "last.safetensors", run.system.state_dict(), origin)
        if training.average:
            save_weights(folder / "averaged.safetensors", run.average, origin)
    return progress


def expect(progress: Progress, epochs: int) -> None:
    """Take note of how many epochs there are to be: of a run that has come to its end, or is resumed, maybe more.

    Raises `ValueError` if it has had as many already.
    """
    if not progress.done and progress.update and epochs <= progress.epoch:
        raise ValueError(f"training.epochs is {epochs}, but the run has had {progress.epoch}: give a larger number")
    had = progress.epochs_expected or progress.epoch
    if progress.done and epochs > had:
        progress.done, progress.validations_since_best = "", 0  # patience begins anew
    progress.epochs_expected = epochs


def leave_processes() -> None:
    """Part from the other processes of a run; for the end of a program, however it ends.

    A group's threads give back what they hold after others have it already. One that does so while Python exits aborts
    the program, so nothing may hold on to the group.
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def peak_memory_mb() -> float:
    """The most memory this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
