"""An image in, its class out: joins a system that looks at images to labelled ones.

It reads or generates images, gives the training loop its batches, answers, measures, and turns where a system looked
into traces. It knows no system: any `Classifier` over `Labelled` batches will do.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, UInt8
from torch import nn

from attend.attention.glimpse import Views
from attend.attention.trace import Alternative, Named, Trace, Windows
from attend.contract import Audited, Classified, Evaluation, Labelled, Scanner, Split
from attend.data.digits import TRANSLATED, Arrangement, Canvas, arrange, draw, draw_all, read_digits
from attend.data.files import DataError, counted
from attend.data.image import Form, ImageError, Images, as_data_uri, decode, read_idx_images, read_npz
from attend.inspect.glimpses import class_entropy, share_on_object, spread_over_images
from attend.progress import Tell
from attend.tasks.pictures import (
    ImageSource,
    Part,
    Picture,
    as_form,
    as_members,
    check_source,
    decode_file,
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

# Evaluation sets are the same whatever seed a run is trained with, so that seeds can be compared.
FROZEN_SEED = 0
# Images answered at a time.
TOGETHER = 250

USE = """```
attend predict {folder} picture.png
attend show {folder} picture.png --out look.html
```

```python
import attend

model = attend.load({string})
print(model.predict("picture.png").text)
```"""


@dataclass(frozen=True)
class ImageData(ImageSource):
    """Images and their classes: a folder of them, files of them, or digits."""

    name: str = ""
    """What the data is called in results and model cards, such as "mnist 28x28"."""
    folder: str = ""
    """A folder of PNG and JPEG images: with metadata.csv or metadata.jsonl (file_name, label, split), or with a
    sub-folder for each class, in sub-folders train, valid and test or not. A relative path is also looked for in the
    folder that ATTEND_DATA names."""
    train: tuple[str, ...] = ()
    """Instead of a folder: an idx file of images and one of labels, or one .npz file with images and labels."""
    digits: Literal["", "mnist", "small"] = ""
    """Instead of files: MNIST's training images from the folder that ATTEND_DATA names (the first 50,000 to learn, the
    last 10,000 to validate), or the small ones that scikit-learn carries."""
    moved: bool = False
    """Put the digits on a larger canvas, at other places in every epoch."""
    canvas: Canvas = field(default_factory=lambda: TRANSLATED)
    """The canvas of moved digits."""

    def __post_init__(self) -> None:
        check_source(self, "folder", "train", "digits")
        if self.moved and not self.digits:
            raise ValueError("data.moved is for data.digits")
        if self.canvas != TRANSLATED and not self.moved:
            raise ValueError("data.canvas is for moved digits: set data.moved too")


@dataclass(frozen=True)
class Answering:
    """How images are answered: in one pass, without chance."""


class Frozen(NamedTuple):
    """Images to measure on, and where the object is in each, if that is known."""

    images: Images
    boxes: Float32[np.ndarray, "image 4"] | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """One image's answer: its class, what was thought after each step, and where the model looked."""

    name: str
    pixels: UInt8[np.ndarray, "channel rows columns"]
    classes: tuple[str, ...]
    probabilities: Float[np.ndarray, "step class"]
    looks: Mapping[str, Windows]

    @property
    def text(self) -> str:
        """The class."""
        return self.classes[int(self.probabilities[-1].argmax())]

    @property
    def score(self) -> float:
        """The log-probability of the class."""
        return float(np.log(max(self.probabilities[-1].max(), np.finfo(np.float32).tiny)))

    def __str__(self) -> str:
        return f"{self.name}: {self.text} ({self.probabilities[-1].max():.3f})"

    def _repr_html_(self) -> str:
        from attend.show.page import frame

        return frame([self.trace()], short_name(self.name))

    def trace(self, **about: str) -> Trace:
        """Where the model looked, with the picture, and the classes' log-probabilities after each step."""
        logs = np.log(np.maximum(self.probabilities, np.finfo(np.float32).tiny))
        alternatives = tuple(
            tuple(
                Alternative(number, name, float(log))
                for number, (name, log) in enumerate(zip(self.classes, row, strict=True))
            )
            for row in logs
        )
        answer = int(self.probabilities[-1].argmax())
        return Trace(
            short_name(self.name),
            self.text,
            dict(self.looks),
            (self.score,),
            about,
            picture=as_data_uri(self.pixels),
            ids=(answer,),
            alternatives=alternatives,
            entropies=tuple((-self.probabilities * logs).sum(axis=-1).tolist()),
        )


class ImageToClass:
    """The task: `prepare` reads the data and keeps what an image is made into, `open` takes that of a run, to predict.

    The error is the share of images whose likeliest class is wrong, in one pass without chance.
    """

    measures: tuple[str, ...] = ("error",)
    unit: ClassVar[str] = "images"
    kept: ClassVar[tuple[str, ...]] = ("images.json",)
    use: ClassVar[str] = USE

    def __init__(
        self, build: Callable[..., nn.Module], data: ImageData, seed: int, form: Form, classes: Sequence[str]
    ) -> None:
        self._build = build
        self.data, self.seed, self.form, self.classes = data, seed, form, tuple(classes)
        self.train: Images | None = None
        self.frozen: dict[Split, Frozen] = {}
        self._arranged: tuple[int, Arrangement] | None = None

    @classmethod
    def prepare(
        cls, build: Callable[..., nn.Module], data: ImageData, seed: int, folder: Path, log: Callable[[str], None]
    ) -> "ImageToClass":
        """Read the data, and keep its classes and the form of its images in `folder`."""
        parts = read_parts(data, seed, log)
        train = parts["train"]
        form = form_of(train, data.fit)
        if data.moved:
            form = replace(form, rows=data.canvas.rows, columns=data.canvas.columns)
        keep(folder / cls.kept[0], as_members(form) | {"classes": train.classes})
        task = cls(build, data, seed, form, train.classes)
        task.take(parts, log)
        return task

    @classmethod
    def open(cls, build: Callable[..., nn.Module], data: ImageData, seed: int, folder: Path) -> "ImageToClass":
        """The task of a run folder, with no data read. Raises `DataError` if images.json is damaged."""
        form, classes = kept(folder / cls.kept[0], lambda content: (as_form(content), content["classes"]))
        return cls(build, data, seed, form, classes)

    def read(self, log: Callable[[str], None]) -> None:
        """Read or make the data. Raises `ValueError` if its classes are not those that the run began with."""
        self.take(read_parts(self.data, self.seed, log), log)

    def take(self, parts: Mapping[Part, Images], log: Callable[[str], None]) -> None:
        if parts["train"].classes != self.classes:
            problem = f"the data's classes are {parts['train'].classes}, but the run's are {self.classes}"
            raise ValueError(f"{problem}: put the data back as they were, or begin another run")
        self.train = parts["train"]
        self.frozen = {split: self.freeze(parts[split]) for split in ("valid", "test") if split in parts}
        form = f"{self.form.rows} x {self.form.columns}, {self.form.colour}"
        counts = ", ".join(f"{len(images):,} {part}" for part, images in parts.items())
        log(f"images of {form}: {counts}; {len(self.classes)} classes")

    def freeze(self, images: Images) -> Frozen:
        if not self.data.moved:
            return Frozen(images)
        drawn = draw_all(images, self.data.canvas, FROZEN_SEED, cut_from=self.train)
        return Frozen(drawn.images, drawn.boxes)

    def counts(self) -> dict[str, int]:
        assert self.train is not None, "the task was opened to predict: it has no training data"
        found = {"training images": len(self.train), "validation images": len(self.frozen["valid"].images)}
        return found | {"classes": len(self.classes), "rows": self.form.rows or 0, "columns": self.form.columns or 0}

    def files(self, split: Part) -> tuple[str, ...]:
        data = self.data
        if data.digits:
            return (f"{data.digits} digits{', moved' if data.moved else ''} ({split})",)
        return getattr(data, split) or ((f"{data.folder} ({split})",) if data.folder else ())

    def model(self, config: Any, systems: Sequence[nn.Module]) -> "ImageModel":
        return ImageModel(config, self, systems)

    def build(self) -> nn.Module:
        return self._build(self.form.channels, len(self.classes))

    def plan(self, epoch: int) -> list[list[int]]:
        """Batches in an order of the epoch's own; an index names an image and, as images may be moved, the epoch."""
        assert self.train is not None, "the task was opened to predict: it has no training data"
        count = len(self.train)
        order = np.random.default_rng([self.seed, epoch]).permutation(count) + epoch * count
        return [order[start : start + self.data.batch].tolist() for start in range(0, count, self.data.batch)]

    def batch(self, indices: Sequence[int]) -> Labelled:
        assert self.train is not None, "the task was opened to predict: it has no training data"
        count = len(self.train)
        epoch, index = indices[0] // count, np.array(indices) % count
        if not self.data.moved:
            return labelled(self.train, index)
        if self._arranged is None or self._arranged[0] != epoch:
            self._arranged = (epoch, arrange(self.train, self.data.canvas, self.seed, epoch))
        return labelled(draw(self.train, self._arranged[1], index).images, np.arange(len(index)))

    def validation(self) -> Iterator[Labelled]:
        images = self.frozen["valid"].images
        for start in range(0, len(images), 500):
            yield labelled(images, np.arange(start, min(start + 500, len(images))))

    def measure(self, system: nn.Module) -> dict[str, float]:
        return {"error": self.evaluate(system, self.frozen["valid"]).figures["error"]}

    def evaluate(self, system: Any, frozen: Frozen, report: Tell | None = None) -> Evaluation:
        """The error, and the audit of where it looked: do places depend on the image, and are they on the object?

        Places are those of the images' first look, whatever its name; a system that has none has no audit.
        """
        images = frozen.images
        assert images.labels is not None
        probabilities, places = [], []
        with torch.random.fork_rng():
            torch.manual_seed(0)  # for controls that look at random places
            for start in range(0, len(images), TOGETHER):
                index = np.arange(start, min(start + TOGETHER, len(images)))
                found = classify(system, images.floats(index))
                probabilities.append(found.logits.float().softmax(-1).cpu().numpy())
                for looks in found.looks:
                    places += [finest(views, found.logits.shape[1]) for views in list(looks.values())[:1]]
                if report:
                    report(int(index[-1]) + 1, len(images))
        likely = np.concatenate(probabilities)
        answers = likely[:, -1].argmax(-1)
        gold = np.log(np.maximum(likely[np.arange(len(images)), -1, images.labels], np.finfo(np.float32).tiny))
        figures = {"error": float((answers != images.labels).mean()), "loss": float(-gold.mean())}
        if places:
            figures |= audit(np.stack(places), likely, frozen.boxes)
        outputs, references = ([self.classes[number] for number in numbers] for numbers in (answers, images.labels))
        return Evaluation(outputs, figures, references)

    def answer(self, system: Any, images: Images) -> Iterator[Answer]:
        """Each image's answer, in order. Images are as `decoded` makes them."""
        for start in range(0, len(images), TOGETHER):
            index = np.arange(start, min(start + TOGETHER, len(images)))
            found = classify(system, images.floats(index))
            likely = found.logits.float().softmax(-1).cpu().numpy()
            for place, number in enumerate(index):
                looks = {name: windows(views, likely.shape[1]) for name, views in found.looks[place].items()}
                name = images.names[number] if images.names else f"image {number + 1}"
                yield Answer(name, images.pixels[number], self.classes, likely[place], looks)

    def decoded(self, paths: Sequence[str]) -> Images:
        """Image files made into what the system takes. Raises `DataError` for one that can't be read."""
        return Images(np.stack([decode_file(path, self.form) for path in paths]), names=tuple(paths))


class ImageModel(SingleModel[ImageToClass]):
    """A trained classifier of images: answers, and shows where it looked. Get one from `attend.load`."""

    def predict(self, image: Picture) -> Answer:
        """The answer for an image file, a Pillow image, or pixels of the form that the run takes (see `task.form`).

        Raises `DataError` for a file that can't be read, `ValueError` for pixels of another shape or type.
        """
        images = Images(pixels_of(image, self.task.form)[np.newaxis], names=(name_of(image),))
        return next(self.predict_many(images))

    def predict_many(self, images: Images) -> Iterator[Answer]:
        """The answers for images of the form that the run takes, in order."""
        return self.task.answer(self.systems[0], images)

    def part(self, split: Split) -> Frozen:
        """A part of the run's own data. Raises `ValueError` if it has no such part."""
        if not self.task.frozen:
            self.task.read(lambda line: None)
        return named_part(self.task.frozen, split)

    def evaluate(self, split: Split, report: Tell | None = None) -> Evaluation:
        """As in `attend.contract.Model`."""
        system, part = self.systems[0], self.part(split)
        found = self.task.evaluate(system, part, report)
        return replace(found, figures=found.figures | shuffled(system, part.images) | own_audit(system, part.images))


def read_parts(data: ImageData, seed: int, log: Callable[[str], None]) -> dict[Part, Images]:
    """The parts of the data. Raises `DataError` or `ValueError` if they can't be read or learnt from."""
    if data.digits:
        return {"train": read_digits(data.digits, "train"), "valid": read_digits(data.digits, "valid")}
    parts = given_parts(data, read_files, log)
    for part, images in parts.items():
        if images.labels is None:
            raise DataError(place_of(data, part), f"the {part} images have no labels", "give each image its class")
    if "valid" not in parts:
        parts |= set_aside(parts["train"], data.held_out, seed, place_of(data, "train"))
        say_held_out(len(parts["valid"]), log)
    check_classes(parts, data)
    return parts


def check_classes(parts: Mapping[Part, Images], data: ImageData) -> None:
    """Raises `DataError` unless there are several classes, all of which are learnt."""
    train = parts["train"]
    if len(train.classes) < 2:
        problem = f"there is one class alone ({', '.join(train.classes)})"
        raise DataError(place_of(data, "train"), problem, "give images of at least two")
    learnt = {train.classes[number] for number in np.unique(labels_of(train))}
    for part, images in parts.items():
        place = place_of(data, part)
        if unknown := sorted({images.classes[number] for number in np.unique(labels_of(images))} - learnt):
            problem = f"has {part} images of the class {unknown[0]!r}, of which there are none to learn"
            raise DataError(place, problem, "give some to learn, or leave the class out")
        if images.classes != train.classes:
            found = f"{len(images.classes)} {'class' if len(images.classes) == 1 else 'classes'}"
            problem = f"has {found} ({part}), but those to learn are {len(train.classes)}"
            raise DataError(place, problem, "give each part an image of every class")


def labels_of(images: Images) -> Int[np.ndarray, "image"]:
    assert images.labels is not None
    return images.labels


def read_files(paths: tuple[str, ...]) -> Images:
    """The images of an .npz file, or of an idx file with another of labels."""
    match paths:
        case (one,) if one.endswith(".npz"):
            return read_npz(one)
        case (images, labels) if not images.endswith(".npz"):
            return read_idx_images(images, labels)
    raise DataError(", ".join(paths), "is not one .npz file, nor two idx files", "give images and their labels")


def set_aside(images: Images, share: float, seed: int, place: str) -> dict[Part, Images]:
    """Training and validation images: a random share of each class to validate, at least one, and not all of it."""
    assert images.labels is not None
    order = np.random.default_rng([seed]).permutation(len(images))
    labels = images.labels[order]
    held = np.zeros(len(images), dtype=bool)
    for label, name in enumerate(images.classes):
        members = np.flatnonzero(labels == label)
        if len(members) < 2:
            problem = f"the class {name!r} has {counted(len(members), 'image')}"
            raise DataError(place, problem, "give at least two, to learn one and validate the other")
        held[members[: min(len(members) - 1, max(1, round(share * len(members))))]] = True
    return {"train": images.select(np.sort(order[~held])), "valid": images.select(np.sort(order[held]))}


def labelled(images: Images, index: np.ndarray) -> Labelled:
    assert images.labels is not None
    return Labelled(torch.from_numpy(images.floats(index)), torch.from_numpy(images.labels[index]))


def decode_bytes(content: bytes, form: Form) -> UInt8[np.ndarray, "channel rows columns"]:
    """A PNG or JPEG file's content. Raises `ValueError` for one that can't be read."""
    try:
        return decode(BytesIO(content), form).pixels
    except ImageError as error:
        raise ValueError(f"the picture can't be read: {error}") from error


def classify(system: Any, images: Float32[np.ndarray, "batch channel rows columns"]) -> Classified:
    device = next(system.parameters()).device
    with torch.inference_mode():
        return system.classify(torch.from_numpy(images).to(device))


def shuffled(system: Any, images: Images) -> dict[str, float]:
    """The error when each image is looked at where the system looks in another one, which is drawn by chance.

    Of a path that ignores the image it's the error. A higher one shows that places depend on the image and the answer
    on them, not how much that gains: where another image is looked at may be worse than a path that is always the same.
    """
    if not isinstance(system, Scanner) or len(images) < 2:
        return {}
    device = next(system.parameters()).device  # pyright: ignore[reportAttributeAccessIssue]
    order = np.random.default_rng(0).permutation(len(images))
    wrong = 0
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(0)  # for controls that look at random places
        for start in range(0, len(images), TOGETHER):
            rows = np.arange(start, min(start + TOGETHER, len(images)))
            # One big circle of images: each is looked at as the one before it is.
            batch, others = (labelled(images, order[rows - back]) for back in (0, 1))
            answers = system.along(batch.images.to(device), others.images.to(device)).argmax(-1).cpu()
            wrong += int((answers != batch.label).sum())
    return {"shuffled_error": wrong / len(images)}


def own_audit(system: Any, images: Images) -> dict[str, float]:
    """What a system itself has to say of labelled images, a mean each: the same every time."""
    if not isinstance(system, Audited):
        return {}
    sums: dict[str, float] = {}
    device = next(system.parameters()).device  # pyright: ignore[reportAttributeAccessIssue]
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(0)
        for start in range(0, len(images), TOGETHER):
            batch = labelled(images, np.arange(start, min(start + TOGETHER, len(images))))
            found = system.audit(Labelled(batch.images.to(device), batch.label.to(device)))
            for name, value in found.items():
                sums[name] = sums.get(name, 0.0) + float(value)
    return {name: value / len(images) for name, value in sums.items()}


def windows(views: Views, steps: int) -> Windows:
    """One image's windows, with each step named; a glimpse of several scales has a window for each."""
    scales = len(views.scale) // steps
    names = [
        str(step + 1) if scales == 1 else f"{step + 1} x{2**scale}" for step in range(steps) for scale in range(scales)
    ]
    return Windows(views.centre, views.extent, views.scale, Named(tuple(names)))


def finest(views: Views, steps: int) -> Float[np.ndarray, "step 2"]:
    """The place of each step."""
    return views.centre[:: len(views.scale) // steps]


def audit(
    places: Float[np.ndarray, "image step 2"],
    probabilities: Float[np.ndarray, "image step class"],
    boxes: Float32[np.ndarray, "image 4"] | None,
) -> dict[str, float]:
    """Figures that show whether looking was more than a fixed path: see `attend.inspect.glimpses`."""
    spread = spread_over_images(places)
    found = {"places_spread_over_images": float(spread.mean())}
    found |= {f"places_spread_step_{step}": float(value) for step, value in enumerate(spread, start=1)}
    if boxes is not None:
        found["glimpses_on_object"] = float(share_on_object(places, boxes).mean())
    entropies = enumerate(class_entropy(probabilities), start=1)
    return found | {f"class_entropy_step_{step}": float(value) for step, value in entropies}
