"""Images in, a bound on their likelihood in nats out: joins a system that draws images to images without targets.

The bound is on -log p(x) of an image, so lower is better. It is measured on pixels that are black or white, made so
once and for all (`attend.data.digits.binarise`): nats of grey pixels, or of others made anew in each epoch, can't be
compared with them. Measuring takes one sample an image, from a seeded stream of noise: it is the same each time.

It knows no system: any `Drawer` over `Pictures` will do.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import nn

from attend.attention.glimpse import Views
from attend.attention.trace import Media, Named, Picture, PictureEachStep, Trace, Windows
from attend.contract import Direction, Drawings, Evaluation, Pictures, Split
from attend.data.check import known_from_training
from attend.data.digits import binarise
from attend.data.files import DataError
from attend.data.image import Images, as_data_uri, rows_first
from attend.data.ragged import hashes_of
from attend.fields.field import Fault
from attend.fields.image import ImageField, ImageValue
from attend.inspect.glimpses import deviation_over_images
from attend.learning import importance_bound
from attend.progress import Tell
from attend.recipe import Recipe, SupervisedSettings
from attend.settings import check_range

IMAGE = "image"
# Of the binarisation of each part and of given images, whatever seed a run is trained with, so that seeds can be
# compared.
BINARISED: dict[str, int] = {"train": 0, "valid": 1, "test": 2, "given": 3}
# Of the noise that is measured with.
MEASURED_SEED = 0
# Images measured or drawn at a time.
TOGETHER = 250


@dataclass(frozen=True)
class Pixels:
    """What is drawn: pixels."""

    made: Literal["binarised", "grey"] = "binarised"
    """Black and white, each pixel white with its brightness as probability, once and for all; or as they are, for
    pictures with shades, where a brightness is a probability of white and nats are of no use but to compare runs."""

    kind = "pixels"
    like = ""


@dataclass(frozen=True)
class Decoding:
    """How the bound is measured."""

    importance_samples: int = 0
    """Samples an image of the importance-weighted bound (Burda et al. 2015), a figure of its own beside the bound, at
    as many times its cost; 0 for none."""

    def __post_init__(self) -> None:
        check_range(self, "importance_samples", 0)


@dataclass(frozen=True, eq=False)
class Drawn:
    """An image drawn step by step: brightness from 0 to 1 after each step, and where each step read and wrote.

    `pixels` and `kl` (nats a step) are those of a given image; of a new one they are None.
    """

    name: str
    canvases: Float32[np.ndarray, "step channel rows columns"]
    looks: Mapping[str, Windows]
    pixels: UInt8[np.ndarray, "channel rows columns"] | None = None
    kl: Float32[np.ndarray, "step"] | None = None

    def picture(self, step: int = -1) -> UInt8[np.ndarray, "rows columns *channel"]:
        """The canvas after a step, by default the last, as bytes: grey without an axis of channels, colour with it."""
        return rows_first(self.canvas(step))

    def canvas(self, step: int) -> UInt8[np.ndarray, "channel rows columns"]:
        """The canvas after a step, as bytes."""
        return np.rint(self.canvases[step] * 255).astype(np.uint8)

    def trace(self, **about: str) -> Trace:
        """Where the model read in the given image, where it wrote, and the canvas after each step."""
        output = "a new image" if self.pixels is None else "a drawing of it"
        after = PictureEachStep(tuple(as_data_uri(self.canvas(step)) for step in range(len(self.canvases))))
        media: dict[str, Media] = {"write" if "write" in self.looks else "output": after}
        if self.pixels is not None:
            media["input"] = Picture(as_data_uri(self.pixels))
        name = ImageValue(self.pixels, self.name).text if self.pixels is not None else self.name
        return Trace(name, output, dict(self.looks), None, about, media=media)

    def _repr_html_(self) -> str:
        from attend.show.page import frame

        return frame([self.trace()], self.name)


class Drawing:
    """The task: `prepare` reads the images and keeps their size, `open` takes that of a run, to draw.

    `nats` is the mean bound on -log p(x), with one sample an image.
    """

    unit = "images"
    measures: Mapping[str, Direction] = {"nats": "lower"}

    def __init__(
        self, recipe: Recipe, settings: SupervisedSettings[Any, Any, Any, Any, Any], field: ImageField
    ) -> None:
        self.recipe, self.settings, self.field = recipe, settings, field
        self.parts: dict[Split, Images] = {}
        self.hashes: dict[Split, np.ndarray] = {}  # of images before they are made black and white

    @classmethod
    def prepare(
        cls,
        recipe: Recipe,
        settings: SupervisedSettings[Any, Any, Any, Any, Any],
        folder: Path,
        log: Callable[[str], None],
        learnt: Path | None = None,
    ) -> "Drawing":
        source = settings.data.open([settings.inputs.image.column(IMAGE)], settings.training.seed, log)
        if learnt is None:
            field = settings.inputs.image.learn((row.values[IMAGE] for row in source.rows("train")), log)
        else:
            field = settings.inputs.image.open(learnt, IMAGE)
        field.save(folder, IMAGE)
        task = cls(recipe, settings, field)
        task.read(log, source)
        return task

    @classmethod
    def open(cls, recipe: Recipe, settings: SupervisedSettings[Any, Any, Any, Any, Any], folder: Path) -> "Drawing":
        return cls(recipe, settings, settings.inputs.image.open(folder, IMAGE))

    @staticmethod
    def kept(settings: Any) -> tuple[str, ...]:
        return settings.inputs.image.kept(IMAGE)

    def read(self, log: Callable[[str], None], source: Any = None) -> None:
        """Read the images. Raises `DataError` if they can't be used."""
        settings = self.settings
        source = source or settings.data.open([settings.inputs.image.column(IMAGE)], settings.training.seed, log)
        for split in source.splits:
            self.parts[split] = self.read_part(source, split, log)
        for split, hashes in self.hashes.items():
            if split != "train" and (count := int(np.isin(hashes, self.hashes["train"]).sum())):
                log(known_from_training(split, count, len(hashes)))
        how = "black and white, once and for all" if settings.output.made == "binarised" else "in their shades"
        counts = ", ".join(f"{len(images):,} {part}" for part, images in self.parts.items())
        log(f"{self.field.about()}, {how}: {counts}")

    def read_part(self, source: Any, split: Split, log: Callable[[str], None]) -> Images:
        pixels, names, left_out = [], [], 0
        for row in source.rows(split):
            found = self.field.encode([row.values[IMAGE]])[0]
            if isinstance(found, Fault):
                if found.refused:
                    raise DataError(
                        ", ".join(self.files(split)), f"{row.name}: {IMAGE} {found}", "correct or remove it"
                    )
                left_out += 1
                log(f"{split}: {row.name} left out: it {found}")
                continue
            pixels.append(found)
            names.append(row.name)
        for remark in self.field.remarks():
            log(f"{split}: {remark}")
        if not pixels:
            raise DataError(", ".join(self.files(split)), f"no {split} image is left to use", "give at least one")
        self.hashes[split] = hashes_of(pixels)
        return self.as_drawn(Images(np.stack(pixels), names=tuple(names)), split)

    def as_drawn(self, images: Images, part: str) -> Images:
        return binarise(images, BINARISED[part]) if self.settings.output.made == "binarised" else images

    def counts(self) -> dict[str, int]:
        found = {"training images": len(self.training), "validation images": len(self.parts["valid"])}
        return found | {name: size for name, size in self.field.sizes().items() if name != "channels"}

    def files(self, split: Split) -> tuple[str, ...]:
        return self.settings.data.files(split)

    def build(self) -> nn.Module:
        return self.recipe.construct(self.settings.system, self.field.sizes())

    @property
    def training(self) -> Images:
        assert self.parts, "the task was opened to draw: it has no training data"
        return self.parts["train"]

    def plan(self, epoch: int) -> list[list[int]]:
        how = self.settings.training
        order = np.random.default_rng([how.seed, epoch]).permutation(len(self.training))
        return [order[start : start + how.batch].tolist() for start in range(0, len(order), how.batch)]

    def batch(self, epoch: int, indices: Sequence[int]) -> Pictures:
        return Pictures(torch.from_numpy(self.training.floats(np.array(indices))))

    def validation(self) -> Iterator[Pictures]:
        images = self.parts["valid"]
        for start in range(0, len(images), TOGETHER):
            yield Pictures(torch.from_numpy(images.floats(np.arange(start, min(start + TOGETHER, len(images))))))

    def measure(self, system: nn.Module) -> dict[str, float]:
        return {"nats": self.evaluate(system, self.parts["valid"], 0).figures["nats"]}

    def evaluate(self, system: Any, images: Images, importance_samples: int, report: Tell | None = None) -> Evaluation:
        """The bound, what it is made of, and `audit`; an image's output is its own bound, in nats."""
        device = next(system.parameters()).device
        generator, weighing = (torch.Generator().manual_seed(MEASURED_SEED + stream) for stream in (0, 1))
        reconstruction, kl, tighter = [], [], []
        with torch.inference_mode():
            for start in range(0, len(images), TOGETHER):
                index = np.arange(start, min(start + TOGETHER, len(images)))
                pixels = torch.from_numpy(images.floats(index)).to(device)
                found = system.bounds(pixels, system.noise(len(index), generator))
                reconstruction.append(found.reconstruction.cpu())
                kl.append(found.kl.cpu())
                if importance_samples:
                    weights = [
                        system.bounds(pixels, system.noise(len(index), weighing)).log_weight
                        for _ in range(importance_samples)
                    ]
                    tighter.append(-importance_bound(torch.stack(weights, 1)).cpu())
                if report:
                    report(int(index[-1]) + 1, len(images))
        each = torch.cat(reconstruction) + torch.cat(kl).sum(1)
        steps = torch.cat(kl).mean(0)
        figures = {
            "nats": float(each.mean()),
            "reconstruction": float(torch.cat(reconstruction).mean()),
            "kl": float(steps.sum()),
        }
        figures |= {f"kl_step_{step}": float(value) for step, value in enumerate(steps, start=1)}
        if importance_samples:
            figures["nats_importance_weighted"] = float(torch.cat(tighter).mean())
        return Evaluation([f"{nats:.4f}" for nats in each.tolist()], figures | audit(system, images))


class DrawingModel:
    """A trained model that draws: new images, and given ones. Get one from `attend.load`."""

    def __init__(self, config: Any, task: Drawing, systems: Sequence[nn.Module]) -> None:
        if len(systems) > 1:
            raise ValueError(f"a model of {config.recipe} is one run: drawing has no ensembles")
        self.config, self.task, self.systems = config, task, list(systems)

    def __repr__(self) -> str:
        sizes = sum(parameter.numel() for parameter in self.systems[0].parameters())
        return f"<attend model of {self.config.recipe}: {sizes:,} parameters>"

    def generate(self, count: int = 1, seed: int = 1, first: int = 0) -> list[Drawn]:
        """New images, drawn from noise: the same for the same seed, and the first of many are those of few.

        `first` is the number, from 0, of that with which to begin.
        """
        system: Any = self.systems[0]
        each = [system.noise(1, seeded(seed, first + number)) for number in range(count)]
        found: list[Drawn] = []
        for start in range(0, count, TOGETHER):
            with torch.inference_mode():
                drawn = system.generate(torch.cat(each[start : start + TOGETHER], 1))
            names = [f"noise {first + start + number + 1} of seed {seed}" for number in range(len(drawn.looks))]
            found += [drawing(name, drawn, number) for number, name in enumerate(names)]
        return found

    def reconstruct(self, image: Any, seed: int = 1) -> Drawn:
        """An image (a file, one that Pillow has open, or pixels of the run's size) drawn from what is read of it.

        It is first made black and white if the run learnt from such. Raises `ValueError` for one that can't be used.
        """
        value = self.task.field.prepare(image)
        images = self.task.as_drawn(Images(value.encoded[np.newaxis]), "given")
        return next(self.reconstruct_many(images, (value.name,), seed))

    def reconstruct_many(self, images: Images, names: Sequence[str] = (), seed: int = 1) -> Iterator[Drawn]:
        """The drawings of images as the run takes them, such as those of `part`, in order."""
        system: Any = self.systems[0]
        device = next(system.parameters()).device
        for start in range(0, len(images), TOGETHER):
            index = np.arange(start, min(start + TOGETHER, len(images)))
            noise = torch.cat([system.noise(1, seeded(seed, int(number))) for number in index], 1)
            pixels = torch.from_numpy(images.floats(index)).to(device)
            with torch.inference_mode():
                drawn, kl = system.reconstruct(pixels, noise), system.bounds(pixels, noise).kl
            for place, number in enumerate(index.tolist()):
                given = names or images.names
                name = given[number] if given else f"image {number + 1}"
                yield drawing(name, drawn, place, images.pixels[number], kl[place].float().cpu().numpy())

    def part(self, split: Split) -> Images:
        """A part of the run's own data, as it is learnt or measured. Raises `ValueError` if it has no such part."""
        if not self.task.parts:
            self.task.read(lambda line: None)
        if split not in self.task.parts:
            parts = ", ".join(self.task.parts)
            raise ValueError(f"the run's data has no part {split!r}: name another with --split ({parts})")
        return self.task.parts[split]

    def evaluate(
        self, split: Split = "valid", report: Tell | None = None, importance_samples: int | None = None
    ) -> Evaluation:
        """Measure on a part of the run's data; importance samples are as the run's settings say unless given here."""
        settings: Decoding = self.config.settings.decoding
        samples = settings.importance_samples if importance_samples is None else importance_samples
        return self.task.evaluate(self.systems[0], self.part(split), samples, report)


def audit(system: Any, images: Images) -> dict[str, float]:
    """The standard deviation of the windows' centres across images, in half images, in the mean of the steps.

    They are those of the first images alone; a system without windows has none.
    """
    index = np.arange(min(TOGETHER, len(images)))
    pixels = torch.from_numpy(images.floats(index)).to(next(system.parameters()).device)
    with torch.inference_mode():
        looks = system.reconstruct(pixels, system.noise(len(index), seeded(MEASURED_SEED, 0))).looks
    places = {name: np.stack([each[name].centre for each in looks]) for name in looks[0]}
    return {f"{name}_deviation": float(deviation_over_images(found).mean()) for name, found in places.items()}


def seeded(seed: int, number: int) -> torch.Generator:
    """A stream of noise for each image, the same however many there are."""
    mixed = np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(mixed >> np.uint64(1)))


def drawing(
    name: str,
    drawn: Drawings,
    number: int,
    pixels: UInt8[np.ndarray, "channel rows columns"] | None = None,
    kl: Float32[np.ndarray, "step"] | None = None,
) -> Drawn:
    """One image of several that were drawn together."""
    looks = {name: windows(views) for name, views in drawn.looks[number].items()}
    return Drawn(name, drawn.canvases[number].float().cpu().numpy(), looks, pixels, kl)


def windows(views: Views) -> Windows:
    """One image's windows, with each step named."""
    return Windows(*views, Named(tuple(str(step + 1) for step in range(len(views.scale)))))
