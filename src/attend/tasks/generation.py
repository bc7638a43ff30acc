"""Images in, a bound on their likelihood in nats out: joins a system that draws images to images without labels.

The bound is on -log p(x) of an image, so lower is better. It is measured on pixels that are black or white, made so
once and for all (`attend.data.digits.binarise`): nats of grey pixels, or of others made anew in each epoch, can't be
compared with them. Measuring takes one sample an image, from a seeded stream of noise: it is the same each time.

It knows no system: any `Drawer` over `Pictures` will do.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import nn

from attend.attention.glimpse import Views
from attend.attention.trace import Canvas, Named, Trace, Windows
from attend.contract import Drawings, Evaluation, Pictures, Split
from attend.data.digits import binarise, read_digits
from attend.data.files import DataError
from attend.data.image import Form, Images, as_data_uri, read_idx_images, read_npz, rows_first
from attend.inspect.glimpses import spread_over_images
from attend.learning import importance_bound
from attend.progress import Tell
from attend.settings import check_range
from attend.tasks.pictures import (
    ImageSource,
    Part,
    Picture,
    as_form,
    as_members,
    check_source,
    divided,
    form_of,
    given_parts,
    keep,
    kept,
    name_of,
    named_part,
    pixels_of,
    place_of,
    say_held_out,
    short_name,
)
from attend.tasks.single import SingleModel

# Of the binarisation of each part and of given images, whatever seed a run is trained with, so that seeds can be
# compared.
BINARISED: dict[str, int] = {"train": 0, "valid": 1, "test": 2, "given": 3}
# Of the noise that is measured with.
MEASURED_SEED = 0
# Images measured or drawn at a time.
TOGETHER = 250

USE = """```
attend show {folder} new:1 --out drawing.gif
attend show {folder} picture.png --out drawing.html
attend evaluate {folder}
```

```python
import attend
from PIL import Image

model = attend.load({string})
new = model.generate(count=16, seed=1)
Image.fromarray(new[0].picture()).save("new.png")
print(model.reconstruct("picture.png").trace().looks)
```"""


@dataclass(frozen=True)
class PictureData(ImageSource):
    """Images to learn to draw: a folder of them, files of them, or digits."""

    name: str = ""
    """What the data is called in results and model cards, such as "mnist 28x28 binarised"."""
    folder: str = ""
    """A folder of PNG and JPEG images, in sub-folders train, valid and test or not; classes and captions are not used.
    A relative path is also looked for in the folder that ATTEND_DATA names."""
    train: tuple[str, ...] = ()
    """Instead of a folder: .npz files with images, or idx files of images."""
    digits: Literal["", "mnist", "small"] = ""
    """Instead of files: MNIST's training images from the folder that ATTEND_DATA names (the first 50,000 to learn, the
    last 10,000 to validate), or the small ones that scikit-learn carries."""
    pixels: Literal["binarised", "grey"] = "binarised"
    """Black and white, each pixel white with its brightness as probability, once and for all; or as they are, for
    pictures with shades, where a brightness is a probability of white and nats are of no use but to compare runs."""
    batch: int = 128
    """Images to a batch."""

    def __post_init__(self) -> None:
        check_source(self, "folder", "train", "digits")


@dataclass(frozen=True)
class Measuring:
    """How the bound is measured."""

    importance_samples: int = 0
    """Samples an image of the importance-weighted bound (Burda et al. 2015), a figure of its own beside the bound, at
    as many times its cost; 0 for none."""

    def __post_init__(self) -> None:
        check_range(self, "importance_samples", 0)


@dataclass(frozen=True, eq=False)
class Drawing:
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

    def given(self) -> UInt8[np.ndarray, "rows columns *channel"] | None:
        """The given image in the same form, if there is one."""
        return None if self.pixels is None else rows_first(self.pixels)

    def canvas(self, step: int) -> UInt8[np.ndarray, "channel rows columns"]:
        """The canvas after a step, as bytes."""
        return np.rint(self.canvases[step] * 255).astype(np.uint8)

    def trace(self, **about: str) -> Trace:
        """Where the model read in the given image, where it wrote, and the canvas after each step."""
        picture, output = None, "a new image"
        if self.pixels is not None:
            picture, output = as_data_uri(self.pixels), "a drawing of it"
        after = tuple(as_data_uri(self.canvas(step)) for step in range(len(self.canvases)))
        canvas = Canvas(after, "write" if "write" in self.looks else None)
        return Trace(short_name(self.name), output, dict(self.looks), None, about, picture=picture, canvas=canvas)


class Generation:
    """The task: `prepare` reads the images and keeps their size, `open` takes that of a run, to draw.

    `nats` is the mean bound on -log p(x), with one sample an image.
    """

    measures: tuple[str, ...] = ("nats",)
    unit: ClassVar[str] = "images"
    kept: ClassVar[tuple[str, ...]] = ("images.json",)
    use: ClassVar[str] = USE

    def __init__(self, build: Callable[..., nn.Module], data: PictureData, seed: int, form: Form) -> None:
        self._build = build
        self.data, self.seed, self.form = data, seed, form
        self.parts: Mapping[Part, Images] = {}

    @classmethod
    def prepare(
        cls, build: Callable[..., nn.Module], data: PictureData, seed: int, folder: Path, log: Callable[[str], None]
    ) -> "Generation":
        parts = read_parts(data, seed, log)
        form = form_of(parts["train"], data.fit)
        keep(folder / cls.kept[0], as_members(form))
        task = cls(build, data, seed, form)
        task.take(parts, log)
        return task

    @classmethod
    def open(cls, build: Callable[..., nn.Module], data: PictureData, seed: int, folder: Path) -> "Generation":
        """The task of a run folder, with no data read. Raises `DataError` if images.json is damaged."""
        return cls(build, data, seed, kept(folder / cls.kept[0], as_form))

    def read(self, log: Callable[[str], None]) -> None:
        """Read the data. Raises `ValueError` if its images are not of the size that the run began with."""
        self.take(read_parts(self.data, self.seed, log), log)

    def take(self, parts: Mapping[Part, Images], log: Callable[[str], None]) -> None:
        for part, images in parts.items():
            if images.pixels.shape[1:] != self.shape:
                problem = f"the {part} images are of shape {images.pixels.shape[1:]}, but the run's {self.shape}"
                raise ValueError(f"{problem}: put the data back as they were, or begin another run")
        self.parts = {part: self.as_drawn(images, part) for part, images in parts.items()}
        counts = ", ".join(f"{len(images):,} {part}" for part, images in parts.items())
        how = "black and white, once and for all" if self.data.pixels == "binarised" else "in their shades"
        log(f"images of {self.form.rows} x {self.form.columns}, {self.form.colour}, {how}: {counts}")

    def as_drawn(self, images: Images, part: str) -> Images:
        return binarise(images, BINARISED[part]) if self.data.pixels == "binarised" else images

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of an image."""
        assert self.form.rows is not None
        assert self.form.columns is not None
        return self.form.channels, self.form.rows, self.form.columns

    def counts(self) -> dict[str, int]:
        rows, columns = self.shape[1:]
        found = {"training images": len(self.learnt), "validation images": len(self.parts["valid"])}
        return found | {"rows": rows, "columns": columns}

    def files(self, split: Part) -> tuple[str, ...]:
        data = self.data
        if data.digits:
            return (f"{data.digits} digits, {data.pixels} ({split})",)
        return getattr(data, split) or ((f"{data.folder} ({split})",) if data.folder else ())

    def model(self, config: Any, systems: Sequence[nn.Module]) -> "DrawingModel":
        return DrawingModel(config, self, systems)

    def build(self) -> nn.Module:
        return self._build(*self.shape)

    @property
    def learnt(self) -> Images:
        """The training images."""
        assert self.parts, "the task was opened to draw: it has no training data"
        return self.parts["train"]

    def plan(self, epoch: int) -> list[list[int]]:
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.learnt))
        return [order[start : start + self.data.batch].tolist() for start in range(0, len(order), self.data.batch)]

    def batch(self, indices: Sequence[int]) -> Pictures:
        return Pictures(torch.from_numpy(self.learnt.floats(np.array(indices))))

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


class DrawingModel(SingleModel[Generation]):
    """A trained model that draws: new images, and given ones. Get one from `attend.load`."""

    def generate(self, count: int = 1, seed: int = 1, first: int = 0) -> list[Drawing]:
        """New images, drawn from noise: the same for the same seed, and the first of many are those of few.

        `first` is the number, from 0, of that with which to begin.
        """
        system: Any = self.systems[0]
        each = [system.noise(1, seeded(seed, first + number)) for number in range(count)]
        found: list[Drawing] = []
        for start in range(0, count, TOGETHER):
            with torch.inference_mode():
                drawn = system.generate(torch.cat(each[start : start + TOGETHER], 1))
            names = [f"noise {first + start + number + 1} of seed {seed}" for number in range(len(drawn.looks))]
            found += [drawing(name, drawn, number) for number, name in enumerate(names)]
        return found

    def reconstruct(self, image: Picture, seed: int = 1) -> Drawing:
        """An image, as `attend.tasks.pictures.pixels_of` takes one, drawn anew from what is read.

        It is first made black and white if the run learnt from such. Errors are those of `pixels_of`.
        """
        images = self.task.as_drawn(Images(pixels_of(image, self.task.form)[np.newaxis]), "given")
        return next(self.reconstruct_many(images, (name_of(image),), seed))

    def reconstruct_many(self, images: Images, names: Sequence[str] = (), seed: int = 1) -> Iterator[Drawing]:
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
        return named_part(self.task.parts, split)

    def evaluate(self, split: Split, report: Tell | None = None, importance_samples: int | None = None) -> Evaluation:
        """As in `attend.contract.Model`; importance samples are as the run's settings say unless given here."""
        settings: Measuring = self.config.settings.decoding
        samples = settings.importance_samples if importance_samples is None else importance_samples
        return self.task.evaluate(self.systems[0], self.part(split), samples, report)


def read_parts(data: PictureData, seed: int, log: Callable[[str], None]) -> dict[Part, Images]:
    """The parts of the data. Raises `DataError` or `ValueError` if they can't be read or learnt from."""
    if data.digits:
        return {"train": read_digits(data.digits, "train"), "valid": read_digits(data.digits, "valid")}
    parts = given_parts(data, read_files, log)
    if "valid" not in parts:
        learnt, held = divided(len(parts["train"]), data.held_out, seed, place_of(data, "train"))
        parts |= {"train": parts["train"].select(learnt), "valid": parts["train"].select(held)}
        say_held_out(len(parts["valid"]), log)
    return parts


def read_files(paths: tuple[str, ...]) -> Images:
    """The images of .npz or idx files, one after the other; all must be of one size."""
    several = [read_npz(path) if path.endswith(".npz") else read_idx_images(path) for path in paths]
    for path, images in zip(paths, several, strict=True):
        if images.pixels.shape[1:] != several[0].pixels.shape[1:]:
            problem = f"has images of shape {images.pixels.shape[1:]}, but {paths[0]} {several[0].pixels.shape[1:]}"
            raise DataError(path, problem, "give images of one size")
    return Images(np.concatenate([images.pixels for images in several]))


def audit(system: Any, images: Images) -> dict[str, float]:
    """How far the windows' centres lie apart in different images (`attend.inspect.glimpses`), in the mean of the steps.

    They are those of the first images alone; a system without windows has none.
    """
    index = np.arange(min(TOGETHER, len(images)))
    pixels = torch.from_numpy(images.floats(index)).to(next(system.parameters()).device)
    with torch.inference_mode():
        looks = system.reconstruct(pixels, system.noise(len(index), seeded(MEASURED_SEED, 0))).looks
    places = {name: np.stack([each[name].centre for each in looks]) for name in looks[0]}
    return {f"{name}_spread_over_images": float(spread_over_images(found).mean()) for name, found in places.items()}


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
) -> Drawing:
    """One image of several that were drawn together."""
    looks = {name: windows(views) for name, views in drawn.looks[number].items()}
    return Drawing(name, drawn.canvases[number].float().cpu().numpy(), looks, pixels, kl)


def windows(views: Views) -> Windows:
    """One image's windows, with each step named."""
    return Windows(*views, Named(tuple(str(step + 1) for step in range(len(views.scale)))))
