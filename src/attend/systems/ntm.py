"""Neural Turing Machines: a network that reads and writes an external memory.

Graves, Wayne & Danihelka, 2014 (arXiv 1410.5401). A controller (an LSTM, or a feed-forward network) takes the input
x_t and what was last read, r_{t-1}, and moves heads over a memory of slots. Each head's weights come from content (the
cosine of a key and each slot) and from where the head was before (interpolation, a circular shift, sharpening). A write
head erases and adds, a read head reads a weighted sum. Everything is differentiable, and learnt by back-propagation
from the bits of the output. The equations are in `attend.attention.addressing`, a step of all heads is in
`attend.attention.heads`.

It differs from attention over an encoded input (`rnnsearch`) in that the memory is written by the network itself, slot
by slot, and that a look starts from the look before: heads can walk. `Recurrent` is the paper's control, an LSTM
without a memory; with `past` it attends to its own past inputs, as its nearest relatives do.

At each step the heads are addressed, write heads write, and read heads then read: the output is computed from the
controller's state and what was read. While an answer is given the input is zero.

Deviations from the paper, which leaves them open:

- The memory starts as a constant, 1e-6, and the heads start on the first slot: the logits of their first weights are
  learnt, and begin at `start` there and 0 elsewhere. So first writes find their slot by location, for all slots look
  alike. The controller's first state and the first read are learnt.
- Keys and what is added are squashed by tanh, and the heads' parameters are clamped to [-20, 20].
- Adam with a limit on the norm of the gradient, where the paper has RMSProp with one on each element.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from attend.attention.heads import Stages, address, move, parameters, sizes
from attend.attention.mechanism import Attend
from attend.attention.memory import Read
from attend.attention.normalise import softmax
from attend.attention.score import Additive
from attend.contract import Answers, Batch, Cells, Look, Loss, Workings
from attend.fast import Linear
from attend.precision import full, recur
from attend.settings import check_config

FIRST = 1e-6
"""What each number of the memory is at first."""

STAGES = ("content", "gate", "shift")
"""What a head's weights are made from, in order; the last stage, sharpening, gives the weights."""

Answer = Literal["after", "during"]


@dataclass(frozen=True)
class Config:
    """The controller, and its memory."""

    controller: Literal["lstm", "feedforward"] = "lstm"
    """What moves the heads."""
    hidden: int = 100
    """Size of each of its layers."""
    layers: int = 1
    """Layers of the controller."""
    slots: int = 128
    """Slots of the memory (N)."""
    size: int = 20
    """Numbers in a slot (M)."""
    read_heads: int = 1
    """Heads that read."""
    write_heads: int = 1
    """Heads that write."""
    start: int = 6
    """The logit of the first slot in the heads' first weights, before they are learnt."""
    answer: Answer = "after"
    """Whether targets are written after the input, or at its last steps."""

    def __post_init__(self) -> None:
        check_config(self)


@dataclass(frozen=True)
class RecurrentConfig:
    """The control: an LSTM without a memory."""

    hidden: int = 256
    """Size of each layer."""
    layers: int = 3
    """Layers of the LSTM."""
    past: bool = False
    """Attend to the inputs so far, with additive attention."""
    answer: Answer = "after"
    """Whether targets are written after the input, or at its last steps."""

    def __post_init__(self) -> None:
        check_config(self)


class Step(NamedTuple):
    """The controller's state, and the heads' weights, the memory after they wrote, and what they read of it."""

    state: Float[Tensor, "batch hidden"]
    weights: Float[Tensor, "batch head slot"]
    memory: Float[Tensor, "batch slot size"]
    read: Float[Tensor, "batch read"]


class Heads(nn.Module):
    """All heads of a controller: read heads first."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.readers, self.writers = config.read_heads, config.write_heads
        heads = config.read_heads + config.write_heads
        self.parameters_of = Linear(config.hidden, sum(sizes(config.read_heads, config.write_heads, config.size)))
        first = torch.zeros(heads, config.slots)
        first[:, 0] = config.start
        self.first = nn.Parameter(first)

    def start(self, batch: int) -> Float[Tensor, "batch head slot"]:
        return self.first.softmax(-1).expand(batch, -1, -1)

    def forward(
        self,
        state: Float[Tensor, "batch hidden"],
        weights: Float[Tensor, "batch head slot"],
        memory: Float[Tensor, "batch slot size"],
    ) -> tuple[Float[Tensor, "batch head slot"], Float[Tensor, "batch slot size"], Float[Tensor, "batch read"]]:
        """The heads' new weights, the memory after they wrote, and what they read of it."""
        weights, memory, read = move(full(self.parameters_of(state)), weights, memory, self.readers)
        return weights, memory, read.flatten(1)

    def stages(
        self,
        state: Float[Tensor, "batch hidden"],
        weights: Float[Tensor, "batch head slot"],
        memory: Float[Tensor, "batch slot size"],
    ) -> Stages:
        """How the new weights come about, from those and the memory of the step before."""
        raw = full(self.parameters_of(state))
        return address(parameters(raw, self.readers, self.writers, memory.shape[2]), weights, memory)


class Controller(nn.Module):
    """An LSTM, or a feed-forward network, of several layers, one step at a time."""

    def __init__(self, config: Config, inputs: int) -> None:
        super().__init__()
        sizes = [inputs, *[config.hidden] * (config.layers - 1)]
        cell = nn.LSTMCell if config.controller == "lstm" else Linear
        self.cells = nn.ModuleList(cell(size, config.hidden) for size in sizes)
        self.recurrent = config.controller == "lstm"
        self.first = nn.Parameter(torch.zeros(config.layers, 2, config.hidden)) if self.recurrent else None

    def start(self, batch: int) -> list[tuple[Tensor, Tensor]]:
        if self.first is None:
            return []
        return [(layer[0].expand(batch, -1), layer[1].expand(batch, -1)) for layer in self.first]

    def forward(
        self, value: Float[Tensor, "batch input"], states: Sequence[tuple[Tensor, Tensor]]
    ) -> tuple[Float[Tensor, "batch hidden"], list[tuple[Tensor, Tensor]]]:
        after = []
        for number, cell in enumerate(self.cells):
            if self.recurrent:
                after.append(cell(value, states[number]))
                value = after[-1][0]
            else:
                value = torch.tanh(cell(value))
        return value, after


class System(nn.Module):
    """See the module."""

    def __init__(self, config: Config, sequence_size: int, target_size: int) -> None:
        super().__init__()
        self.config = config
        self.beyond = 0  # sequences longer than the memory, since they were last asked for
        read = config.read_heads * config.size
        self.controller = Controller(config, sequence_size + read)
        self.heads = Heads(config)
        self.first_read = nn.Parameter(torch.zeros(read))
        self.output = Linear(config.hidden + read, target_size)

    def run(
        self, inputs: Float[Tensor, "batch step input"]
    ) -> tuple[Float[Tensor, "batch step bit"], Float[Tensor, "batch head step slot"]]:
        """The log-odds of the output bits, and the heads' weights, at every step."""
        seen, looks = [], []
        for step in self.steps(inputs):
            seen.append(torch.cat([step.state, step.read], 1))
            looks.append(step.weights)
        return self.output(torch.stack(seen, 1)), torch.stack(looks, 2)

    def steps(self, inputs: Float[Tensor, "batch step input"]) -> Iterator[Step]:
        batch = len(inputs)
        states, weights, memory = self.controller.start(batch), self.heads.start(batch), self.blank(inputs)
        read = self.first_read.expand(batch, -1)
        for value in inputs.unbind(1):
            state, states = self.controller(torch.cat([value, read], 1), states)
            weights, memory, read = self.heads(state, weights, memory)
            yield Step(state, weights, memory, read)

    def blank(self, inputs: Float[Tensor, "batch step input"]) -> Float[Tensor, "batch slot size"]:
        """The memory before the first step."""
        return inputs.new_full((len(inputs), self.config.slots, self.config.size), FIRST)

    def forward(self, batch: Batch) -> Loss:
        return bit_loss(self.answer(batch).logits, batch.target)

    def answer(self, batch: Batch) -> Answers:
        """The log-odds of each bit of the answer, and where each head was at every step."""
        inputs, places, real = with_answer(batch, self.config.answer)
        if self.config.answer == "after":
            self.beyond += int((batch.inputs["sequence"].mask.sum(1) > self.config.slots).sum())
        logits, weights = self.run(inputs)
        looks = {name: self.look(weights[:, head], real) for head, name in enumerate(self.names)}
        return Answers(chosen(logits, places), looks)

    def workings(self, batch: Batch) -> Workings:
        """The stages of each head's weights, such as "write: content", and the memory after each step."""
        inputs, _, real = with_answer(batch, self.config.answer)
        steps = list(self.steps(inputs))
        weights = [self.heads.start(len(inputs)), *[step.weights for step in steps]]
        memory = [self.blank(inputs), *[step.memory for step in steps]]
        made = [self.heads.stages(step.state, *before) for step, *before in zip(steps, weights, memory, strict=False)]
        stages = {
            f"{name}: {stage}": self.look(torch.stack([step[number][:, head] for step in made], 1), real)
            for head, name in enumerate(self.names)
            for number, stage in enumerate(STAGES)
        }
        # All write heads write one memory: it is shown with the first.
        writer = self.names[self.config.read_heads]
        return Workings(stages, {writer: torch.stack(memory[1:], 1)})

    @property
    def names(self) -> list[str]:
        """Of all heads, in their order."""
        kinds = {"read": self.config.read_heads, "write": self.config.write_heads}
        return [kind if count == 1 else f"{kind} {head + 1}" for kind, count in kinds.items() for head in range(count)]

    def look(self, weights: Float[Tensor, "batch step slot"], real: Bool[Tensor, "batch step"]) -> Look:
        return Look(weights, "", "sequence+output" if self.config.answer == "after" else "sequence", rows=real)

    def remarks(self) -> list[str]:
        count, self.beyond = self.beyond, 0
        slots = f"the {self.config.slots} slots of the memory (--system.slots)"
        return [f"inputs of more vectors than {slots}: {count:,}; not each vector can have its own"] if count else []


class Recurrent(nn.Module):
    """The control: an LSTM that remembers in its state alone or, with `past`, attends to its inputs so far."""

    def __init__(self, config: RecurrentConfig, sequence_size: int, target_size: int) -> None:
        super().__init__()
        self.config = config
        self.lstm = nn.LSTM(sequence_size, config.hidden, config.layers, batch_first=True)
        self.attend = Attend(Additive(config.hidden, sequence_size, config.hidden), softmax) if config.past else None
        self.output = Linear(config.hidden + (sequence_size if config.past else 0), target_size)

    def run(self, inputs: Float[Tensor, "batch step input"]) -> tuple[Float[Tensor, "batch step bit"], Read | None]:
        states = full(recur(self.lstm, inputs)[0])
        if self.attend is None:
            return self.output(states), None
        reads = []
        for step in range(inputs.shape[1]):
            memory = self.attend.prepare(inputs, self.past(inputs, step), "sequence")
            reads.append(self.attend(states[:, step : step + 1], memory))
        read = Read(torch.cat([one.context for one in reads], 1), torch.cat([one.weights for one in reads], 1))
        return self.output(torch.cat([states, read.context], -1)), read

    @staticmethod
    def past(inputs: Float[Tensor, "batch step input"], step: int) -> Bool[Tensor, "batch step"]:
        return (torch.arange(inputs.shape[1], device=inputs.device) <= step).expand(inputs.shape[:2])

    def forward(self, batch: Batch) -> Loss:
        return bit_loss(self.answer(batch).logits, batch.target)

    def answer(self, batch: Batch) -> Answers:
        inputs, places, real = with_answer(batch, self.config.answer)
        logits, read = self.run(inputs)
        if read is None:
            return Answers(chosen(logits, places))
        steps = "sequence+output" if self.config.answer == "after" else "sequence"
        return Answers(chosen(logits, places), {"past": Look(read.weights, "", steps, rows=real)})


def with_answer(
    batch: Batch, answer: Answer
) -> tuple[Float[Tensor, "batch step input"], Int[Tensor, "batch answer"], Bool[Tensor, "batch step"]]:
    """The inputs with zeros where an answer is given; the steps of the answer; and the steps that are real.

    The mask of `batch.target` says how many steps each answer has. Raises `ValueError` for more than the input has, if
    it is given during the input.
    """
    cells: Cells = batch.inputs["sequence"]
    wanted: Bool[Tensor, "batch answer"] = batch.target.mask
    lengths, counts = cells.mask.sum(1), wanted.sum(1)
    inputs = cells.values * cells.mask.unsqueeze(-1)
    if answer == "after":
        first, total = lengths, lengths + counts
        inputs = F.pad(inputs, (0, 0, 0, int(total.max()) - inputs.shape[1]))
    elif bool((counts > lengths).any()):
        raise ValueError("a target has more vectors than its input: one is wanted for each, or for the last ones")
    else:
        first, total = lengths - counts, lengths
    places = first.unsqueeze(1) + torch.arange(wanted.shape[1], device=wanted.device)
    steps = torch.arange(inputs.shape[1], device=wanted.device)
    return inputs, places.clamp(max=inputs.shape[1] - 1), steps < total.unsqueeze(1)


def chosen(
    logits: Float[Tensor, "batch step bit"], places: Int[Tensor, "batch answer"]
) -> Float[Tensor, "batch answer bit"]:
    return logits.gather(1, places.unsqueeze(-1).expand(-1, -1, logits.shape[-1]))


def bit_loss(logits: Float[Tensor, "batch answer bit"], target: Cells) -> Loss:
    """Minus the log-likelihood of all bits; the units are sequences, as in the paper's figures."""
    each = F.binary_cross_entropy_with_logits(logits, target.values, reduction="none")
    real = target.mask.unsqueeze(-1)
    wrong = ((logits > 0) != (target.values > 0.5)) & real
    return Loss((each * real).sum(), len(logits), {"wrong_bits": wrong.sum().to(torch.float32)})
