"""An image in, a caption out: joins a system that describes images to images, or grids of features, with captions.

It reads or generates images, learns a vocabulary of words, gives the training loop its batches, describes, scores,
measures, and turns what a search returns into text and traces over the image's cells. It knows no system: any
`Captioner` over `Captioned` batches will do.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, UInt8
from torch import nn

from attend import decoding, metrics
from attend.attention.trace import Grid, Named, Token, Tokens, Trace, Weights
from attend.contract import END, Captioned, Evaluation, Split, Step
from attend.data import scenes
from attend.data.captions import usable
from attend.data.codec import Codec
from attend.data.corpus import collate
from attend.data.files import DataError, counted, locate
from attend.data.grids import Grids, read_grids
from attend.data.image import Form, Images, as_data_uri
from attend.data.nlvr import FORM as NLVR_FORM
from attend.data.nlvr import divide, read_nlvr
from attend.data.scenes import Scenes
from attend.inspect.cells import cells_in_box, centre_of, pairwise_variation, points_inside
from attend.inspect.glimpses import spread_over_images
from attend.progress import Tell
from attend.settings import check_range
from attend.show.reading import row_entropy
from attend.tasks.pictures import (
    ImageSource,
    Part,
    Picture,
    as_form,
    as_members,
    check_parts,
    check_source,
    decode_file,
    divided,
    folder_parts,
    form_of,
    keep,
    kept,
    name_of,
    named_part,
    pixels_of,
    say_held_out,
    short_name,
)
from attend.tasks.single import SingleModel

# Scenes to measure on are the same whatever seed a run is trained with, so that seeds can be compared.
FROZEN_SEED: dict[Split, int] = {"valid": 0, "test": 1}
# Images described at a time.
TOGETHER = 100
END_SHOWN = "</s>"
# Scenes whose captions hold every word that there is.
ALL_WORDS = 2000

USE = """```
attend predict {folder} picture.png
attend show {folder} picture.png --out look.html look.gif
attend evaluate {folder}
```

```python
import attend

model = attend.load({string})
print(model.predict("picture.png", beam=3).text)
```"""


@dataclass(frozen=True)
class CaptionData(ImageSource):
    """Images, or grids of features, with captions: a folder of them, files of them, or generated ones."""

    name: str = ""
    """What the data is called in results and model cards, such as "scenes"."""
    folder: str = ""
    """A folder of PNG and JPEG images with metadata.csv or metadata.jsonl (file_name, caption, split; several lines of
    one file_name are several captions). A relative path is also looked for in the folder that ATTEND_DATA names."""
    train: tuple[str, ...] = ()
    """Instead of a folder: an .npz or .safetensors file with an array "features", of floats [image rows columns size]
    or [image cells size], and a text file whose line n has the captions of grid n, with tabs between."""
    generated: Literal["", "scenes", "nlvr"] = ""
    """Instead of files: scenes of coloured shapes, new ones in every epoch; or the pictures of NLVR's development set,
    from the folder that ATTEND_DATA names, each with the sentence that is true of it."""
    scenes: int = 20_000
    """Generated scenes to an epoch."""
    measured: int = 1000
    """Generated scenes to measure on; and images, of those to validate on, that are described after each epoch."""
    colour: Literal["grey", "colour"] = "colour"
    """What a folder's images are read as."""
    rows: int = 64
    """Height that a folder's images are resized to; 0 for that which most have."""
    columns: int = 64
    """Width that a folder's images are resized to; 0 for that which most have."""
    vocabulary: int = 10_000
    """Entries of the vocabulary of words, the four special ones included."""
    longest: int = 50
    """Longer captions (in words) are left out, and counted."""
    batch: int = 64
    """Captions to a batch; those of like length go together."""
    backbone_weights: str = ""
    """For a system with a backbone: the file of its weights, in a form that timm reads, for the run to begin with."""

    def __post_init__(self) -> None:
        check_range(self, "scenes measured longest", 1)
        check_range(self, "vocabulary", 5)
        check_source(self, "folder", "train", "generated")


@dataclass(frozen=True)
class Describing:
    """How captions are searched for."""

    beam: int = 1
    """Hypotheses that a caption keeps; 1 is greedy."""
    length_penalty: float = 0.0
    """Exponent of the length that log-probabilities are divided by: 0 for none, 1 for their mean."""
    longest: int = 50
    """Greatest length of a caption, in words."""

    def __post_init__(self) -> None:
        check_range(self, "beam longest", 1)
        check_range(self, "length_penalty", 0)


class GridForm(NamedTuple):
    """The size of grids of features."""

    rows: int
    columns: int
    size: int

    @property
    def channels(self) -> int:
        return self.size


@dataclass(frozen=True, eq=False)
class Frozen:
    """Images to measure on, with their captions, tidied, and in generated scenes what is where."""

    images: Images | Grids
    captions: tuple[tuple[str, ...], ...]
    drawn: Scenes | None = None

    def __len__(self) -> int:
        return len(self.images)

    def spread(self, count: int) -> "Frozen":
        """At most so many of them, evenly chosen (without what is where)."""
        if count >= len(self):
            return self
        return self.select(np.arange(count) * len(self) // count)

    def select(self, index: Int[np.ndarray, "chosen"]) -> "Frozen":
        """Those of these numbers (without what is where)."""
        return Frozen(self.images.select(index), tuple(self.captions[number] for number in index))


class Examples(NamedTuple):
    """Captions to learn, each with the number of its image."""

    images: Images | Grids
    image: Int[np.ndarray, "example"]
    ids: list[Int[np.ndarray, "token"]]


@dataclass(frozen=True, eq=False)
class Caption:
    """One image's caption: its text, its words with log-probabilities, and where the model looked at each.

    `weights` has a row for each word and for the end, and a column for each cell, row by row, or a single one in a
    system that reads the mean of all cells. `pixels` is None where the model was given a grid of features. `sampled` is
    a cell for each of them, drawn by these weights, where the system learnt by such draws (hard attention); what it
    wrote here it read from the expectation.
    """

    name: str
    pixels: UInt8[np.ndarray, "channel rows columns"] | None
    text: str
    tokens: tuple[Token, ...]
    ids: tuple[int, ...]
    token_log_probs: tuple[float, ...]
    log_prob: float
    score: float
    weights: Float[np.ndarray, "step memory"]
    grid: tuple[int, int]
    sampled: Int[np.ndarray, "step"] | None = None

    def __str__(self) -> str:
        return f"{self.name}: {self.text} ({self.log_prob:.3f})"

    def trace(self, **about: str) -> Trace:
        """Where the model looked, word by word; the scores are the words' log-probabilities."""
        cells = Grid(*self.grid) if self.weights.shape[1] == self.grid[0] * self.grid[1] else Named(("mean",))
        steps = Tokens(self.text, self.tokens)
        looks = {"image": Weights(self.weights, steps, cells)}
        if self.sampled is not None:
            looks["sampled"] = Weights(np.eye(len(cells))[self.sampled], steps, cells, hard=True)
        picture = None if self.pixels is None else as_data_uri(self.pixels)
        return Trace(short_name(self.name), self.text, dict(looks), self.token_log_probs, about, picture=picture)

    def _repr_html_(self) -> str:
        from attend.show.page import frame

        return frame([self.trace()], short_name(self.name))


class Shuffled:
    """A decoder whose weights are put on other cells, by a permutation of each image's own: an ablation.

    It scores the cells as it always does, and then reads the values of others, which comes to the same. Where a caption
    depends on what is read, and not only on the mean that the first state is made of, it must suffer.
    """

    def __init__(self, decoder: Any, generator: torch.Generator) -> None:
        self.decoder, self.generator = decoder, generator

    def start(self, batch: Captioned) -> Any:
        state = self.decoder.start(batch)
        values = state.memory.values
        order = torch.rand(values.shape[:2], generator=self.generator).argsort(1).to(values.device)
        values = values.gather(1, order.unsqueeze(-1).expand_as(values))
        return replace(state, memory=replace(state.memory, values=values))

    def step(self, token: Int[torch.Tensor, "batch query"], state: Any) -> Step:
        return self.decoder.step(token, state)


class ImageToCaption:
    """The task: `prepare` reads the data and learns its words, `open` takes those of a run, to predict.

    What it measures is measured on greedy captions; exact match is the share that are one of their image's captions.
    """

    measures: tuple[str, ...] = ("exact_match", "bleu4", "cider")
    unit: ClassVar[str] = "words"
    kept: ClassVar[tuple[str, ...]] = ("images.json", "captions.tokenizer.json")
    use: ClassVar[str] = USE

    def __init__(
        self, build: Callable[..., nn.Module], data: CaptionData, seed: int, form: Form | GridForm, codec: Codec
    ) -> None:
        self._build = build
        self.data, self.seed, self.form, self.codec = data, seed, form, codec
        self.begins = False
        self.train: Examples | None = None
        self.frozen: dict[Split, Frozen] = {}
        self._arranged: tuple[int, scenes.Arrangement] | None = None

    @classmethod
    def prepare(
        cls, build: Callable[..., nn.Module], data: CaptionData, seed: int, folder: Path, log: Callable[[str], None]
    ) -> "ImageToCaption":
        """Read the data, and keep its words and the form of its images in `folder`."""
        parts = read_parts(data, seed, log)
        if data.generated == "scenes":
            form: Form | GridForm = Form("colour", scenes.SIZE, scenes.SIZE, data.fit)
            captions = scenes.draw_all(ALL_WORDS, FROZEN_SEED["valid"]).images.captions or ()
        else:
            train = parts["train"]
            form, captions = taken_form(train.images, data.fit), train.captions
        codec = Codec.train((caption for several in captions for caption in several), "word", data.vocabulary)
        codec.save(folder / cls.kept[1])
        keep(folder / cls.kept[0], form._asdict() if isinstance(form, GridForm) else as_members(form))
        task = cls(build, data, seed, form, codec)
        task.begins = True
        task.take(parts, log)
        return task

    @classmethod
    def open(cls, build: Callable[..., nn.Module], data: CaptionData, seed: int, folder: Path) -> "ImageToCaption":
        """The task of a run folder, with no data read. Raises `DataError` if images.json is damaged."""
        form = kept(
            folder / cls.kept[0], lambda content: GridForm(**content) if "size" in content else as_form(content)
        )
        return cls(build, data, seed, form, Codec.load(str(folder / cls.kept[1])))

    def read(self, log: Callable[[str], None]) -> None:
        """Read or make the data. Raises `ValueError` if its images are of another form than the run began with."""
        self.take(read_parts(self.data, self.seed, log), log)

    def take(self, parts: Mapping[Part, Frozen], log: Callable[[str], None]) -> None:
        data = self.data
        size = f"{self.form.rows} x {self.form.columns}"
        if data.generated == "scenes":
            for split, seed in FROZEN_SEED.items():
                drawn = scenes.draw_all(data.measured, seed)
                self.frozen[split] = Frozen(drawn.images, drawn.images.captions or (), drawn)
            log(f"scenes of {size}: {data.scenes:,} an epoch; {data.measured:,} to measure on")
        else:
            for part, images in parts.items():
                found = taken_form(images.images, data.fit)
                if (found.channels, found.rows, found.columns) != (
                    self.form.channels,
                    self.form.rows,
                    self.form.columns,
                ):
                    problem = f"the {part} images are of another size, {found}, than the run's, {self.form}"
                    raise ValueError(f"{problem}: put the data back as they were, or begin another run")
            self.train = self.examples(parts["train"])
            self.frozen = {split: parts[split] for split in ("valid", "test") if split in parts}
            counts = ", ".join(f"{len(images):,} {part}" for part, images in parts.items())
            what = "grids" if isinstance(self.form, GridForm) else "images"
            log(f"{what} of {size}: {counts}; {len(self.train.ids):,} captions to learn")
        log(f"a vocabulary of {len(self.codec):,} words")

    def examples(self, part: Frozen) -> Examples:
        image = np.repeat(np.arange(len(part)), [len(several) for several in part.captions])
        return Examples(part.images, image, self.encoded([caption for several in part.captions for caption in several]))

    def encoded(self, captions: Sequence[str]) -> list[Int[np.ndarray, "token"]]:
        """The ids of tidied captions, END at their ends."""
        return [np.array([*ids, END]) for ids in self.codec.encode_many(captions)]

    def counts(self) -> dict[str, int]:
        found = {"words": len(self.codec), "rows": self.form.rows or 0, "columns": self.form.columns or 0}
        measured = {"validation images": len(self.frozen["valid"])}
        if self.data.generated == "scenes":
            return {"scenes an epoch": self.data.scenes, **measured, **found}
        assert self.train is not None, "the task was opened to predict: it has no training data"
        images = {"training images": len(self.train.images), "training captions": len(self.train.ids)}
        return images | measured | found

    def files(self, split: Part) -> tuple[str, ...]:
        data = self.data
        if data.generated == "nlvr":
            return (f"NLVR {'hidden' if split == 'test' else 'development'} set, true sentences ({split})",)
        if data.generated:
            return (f"generated scenes ({split})",)
        return getattr(data, split) or ((f"{data.folder} ({split})",) if data.folder else ())

    def model(self, config: Any, systems: Sequence[nn.Module]) -> "CaptionModel":
        return CaptionModel(config, self, systems)

    def build(self) -> nn.Module:
        """A new system. Raises `ValueError` if it takes images and the data are grids, or the other way round."""
        system: Any = self._build(self.form.channels, len(self.codec))
        kind = "grids" if isinstance(self.form, GridForm) else "images"
        if system.takes != kind:
            hint = "none" if kind == "grids" else "convolutional or backbone"
            raise ValueError(f"the data are {kind}, and this system takes {system.takes}: set system.encoder to {hint}")
        if self.begins and self.data.backbone_weights:
            system.load_backbone(str(locate(self.data.backbone_weights)))
        return system

    def arranged(self, epoch: int) -> scenes.Arrangement:
        if self._arranged is None or self._arranged[0] != epoch:
            self._arranged = (epoch, scenes.arrange(self.data.scenes, self.seed, epoch))
        return self._arranged[1]

    def lengths(self, epoch: int) -> Int[np.ndarray, "example"]:
        """How many words each of an epoch's captions has, END included."""
        if self.data.generated == "scenes":
            arranged = self.arranged(epoch)
            texts = (scenes.describe(arranged, number)[0] for number in range(len(arranged)))
            return np.array([text.count(" ") + 2 for text in texts])
        assert self.train is not None, "the task was opened to predict: it has no training data"
        return np.array([len(ids) for ids in self.train.ids])

    def plan(self, epoch: int) -> list[list[int]]:
        """Batches of captions of like length, in an order of the epoch's own; an index also says the epoch."""
        generator = np.random.default_rng([self.seed, epoch])
        lengths, size = self.lengths(epoch), self.data.batch
        order = generator.permutation(len(lengths))
        order = order[np.argsort(lengths[order], kind="stable")] + epoch * len(lengths)
        starts = generator.permutation(np.arange(0, len(order), size))
        return [order[start : start + size].tolist() for start in starts]

    def batch(self, indices: Sequence[int]) -> Captioned:
        if self.data.generated == "scenes":
            epoch, index = indices[0] // self.data.scenes, np.array(indices) % self.data.scenes
            images = scenes.draw(self.arranged(epoch), index).images
            ids = self.encoded([several[0] for several in images.captions or ()])
            return captioned(images.floats(np.arange(len(index))), ids)
        assert self.train is not None, "the task was opened to predict: it has no training data"
        index = np.array(indices) % len(self.train.ids)
        return captioned(self.train.images.floats(self.train.image[index]), [self.train.ids[i] for i in index])

    def validation(self) -> Iterator[Captioned]:
        part = self.examples(self.frozen["valid"].spread(self.data.measured))
        order = np.argsort([len(ids) for ids in part.ids], kind="stable")
        for start in range(0, len(order), TOGETHER):
            index = order[start : start + TOGETHER]
            yield captioned(part.images.floats(part.image[index]), [part.ids[i] for i in index])

    def measure(self, system: nn.Module) -> dict[str, float]:
        part = self.frozen["valid"].spread(self.data.measured)
        texts = [found.text for found in self.describe(system, part.images, Describing(longest=self.data.longest))]
        return caption_figures(texts, part.captions)[0]

    def describe(
        self,
        system: Any,
        images: Images | Grids,
        how: Describing,
        grid: tuple[int, int] | None = None,
        report: Tell | None = None,
    ) -> Iterator[Caption]:
        """Each image's caption, in order. `grid` is the system's, where `system` is a decoder around it."""
        grid = grid or self.grid(system)
        for index, batch in self.batches(system, images):
            if how.beam == 1:
                found = decoding.greedy(system, batch, how.longest + 1)
            else:
                found = decoding.beam_search(system, batch, how.longest + 1, how.beam, how.length_penalty)
            for number, hypotheses in zip(index, found, strict=True):
                yield self.caption(system, images, int(number), hypotheses[0], grid)
            if report:
                report(int(index[-1]) + 1, len(images))

    def force(
        self,
        system: Any,
        images: Images | Grids,
        captions: Sequence[str],
        image: Int[np.ndarray, "caption"] | None = None,
    ) -> Iterator[Caption]:
        """The given captions, in order: with log-probabilities, END included, and where it looked.

        There is one an image, or else `image` is the number of each one's. Raises `ValueError` for a caption without a
        word.
        """
        for number, caption in enumerate(captions, start=1):
            if not caption.strip():
                raise ValueError(f"caption {number} is empty: there is nothing to score")
        grid, ids = self.grid(system), self.encoded(captions)
        image = np.arange(len(images)) if image is None else image
        for index, batch in self.batches(system, images, image):
            found = decoding.forced(system, batch, [ids[number].tolist() for number in index])
            for number, hypothesis in zip(index, found, strict=True):
                yield self.caption(system, images, int(image[number]), hypothesis, grid, captions[int(number)])

    def batches(
        self, system: Any, images: Images | Grids, image: Int[np.ndarray, "caption"] | None = None
    ) -> Iterator[tuple[Int[np.ndarray, "batch"], Captioned]]:
        """All images, or those of these numbers, to decode from, and which of them they are.

        The captions are only placeholders, which no decoder reads.
        """
        device = device_of(system)
        image = np.arange(len(images)) if image is None else image
        for start in range(0, len(image), TOGETHER):
            index = np.arange(start, min(start + TOGETHER, len(image)))
            batch = captioned(images.floats(image[index]), [np.array([END])] * len(index))
            yield index, Captioned(batch.images.to(device), batch.target.to(device), batch.target_mask.to(device))

    def grid(self, system: Any) -> tuple[int, int]:
        """Rows and columns of the system's cells, for images of the run's form."""
        return system.grid(self.form.rows, self.form.columns)

    def caption(
        self,
        system: Any,
        images: Images | Grids,
        number: int,
        hypothesis: decoding.Hypothesis,
        grid: tuple[int, int],
        text: str | None = None,
    ) -> Caption:
        """A search's result in words. `text` is given where the caption was, to keep what no vocabulary holds."""
        spelt = self.codec.spell(hypothesis.tokens) if text is None else self.codec.encode(text)
        tokens = [Token(piece, *place) for piece, place in zip(spelt.tokens, spelt.offsets, strict=True)]
        if hypothesis.finished:
            tokens.append(Token(END_SHOWN))
        assert hypothesis.weights is not None
        return Caption(
            images.names[number] if images.names else f"image {number + 1}",
            images.pixels[number] if isinstance(images, Images) else None,
            spelt.text,
            tuple(tokens),
            tuple(hypothesis.tokens),
            tuple(hypothesis.token_log_probs),
            hypothesis.log_prob,
            hypothesis.score,
            hypothesis.weights,
            grid,
            drawn_cells(hypothesis.weights, number) if getattr(system, "samples", False) else None,
        )

    def evaluate(self, system: Any, part: Frozen, how: Describing, report: Tell | None = None) -> Evaluation:
        """How good the captions are, and the audit of where it looked.

        The loss is in nats a word of the images' own captions, END included. Where the system looks at cells: how much
        attention moves from word to word of an image's first caption (END is no word); how spread out it is, and how
        far apart its middles are in different images, word by word; what the captions are worth when attention is
        shuffled over the cells; and, in scenes, how often the strongest cell at the noun of an object is the object's.
        """
        texts = [found.text for found in self.describe(system, part.images, how, report=report)]
        figures, signature = caption_figures(texts, part.captions)
        examples = self.examples(part)
        given = [caption for several in part.captions for caption in several]
        forced = list(self.force(system, part.images, given, examples.image))
        loss = -sum(one.log_prob for one in forced) / sum(len(one.ids) for one in forced)
        figures |= {"loss": loss, "perplexity": float(np.exp(min(loss, 700.0)))}
        rows, columns = self.grid(system)
        firsts = [forced[number] for number in np.unique(examples.image, return_index=True)[1]]
        if firsts[0].weights.shape[1] == rows * columns > 1:
            words = [one.weights[:-1] for one in firsts]
            figures["attention_variation"] = float(np.mean([pairwise_variation(each) for each in words]))
            figures |= over_time(words, rows, columns)
            shuffled = Shuffled(system, torch.Generator().manual_seed(0))
            worse = [found.text for found in self.describe(shuffled, part.images, how, (rows, columns))]
            worse_figures, _ = caption_figures(worse, part.captions)
            figures |= {f"shuffled_{name}": value for name, value in worse_figures.items()}
            if part.drawn is not None:
                figures |= pointing(firsts, part.drawn, rows, columns)
        # Where images have several captions, no single one is what the output ought to be.
        single = all(len(several) == 1 for several in part.captions)
        references = [several[0] for several in part.captions] if single else []
        return Evaluation(texts, figures, references, {"bleu4": signature})

    def decoded(self, paths: Sequence[str]) -> Images | Grids:
        """Image files made into what the system takes; or, if that is grids, all those of files with features.

        Raises `DataError` for one that can't be read, or has grids of another size.
        """
        if isinstance(self.form, GridForm):
            grids = [read_grids(path) for path in paths]
            for path, part in zip(paths, grids, strict=True):
                if part.features.shape[1:] != tuple(self.form):
                    sizes = " x ".join(map(str, part.features.shape[1:]))
                    expected = " x ".join(map(str, self.form))
                    raise DataError(path, f"has grids of {sizes}", f"give grids of {expected}, as the run learnt from")
            features = np.concatenate([part.features for part in grids])
            return Grids(features, names=tuple(name for part in grids for name in part.names))
        return Images(np.stack([decode_file(path, self.form) for path in paths]), names=tuple(paths))


class CaptionModel(SingleModel[ImageToCaption]):
    """A trained captioner: describes images, scores captions, and shows where it looked. Get one from `attend.load`."""

    def how(self, beam: int | None = None) -> Describing:
        how: Describing = self.config.settings.decoding
        return how if beam is None else replace(how, beam=beam)

    def predict(self, image: Picture | np.ndarray, beam: int | None = None) -> Caption:
        """The caption of an image file, a Pillow image, pixels of the form that the run takes, or a grid of features.

        A grid is an array [rows columns size], a file with one, or file:3 for the third of a file's. Raises
        `DataError` for a file that can't be read, `ValueError` for an array of another shape or type, or a file with
        several grids of which none is chosen.
        """
        return next(self.predict_many(self.taken(image), beam))

    def predict_many(self, images: Images | Grids, beam: int | None = None) -> Iterator[Caption]:
        """The captions of images of the form that the run takes (see `task.decoded`), in order."""
        return self.task.describe(self.systems[0], images, self.how(beam))

    def attention(self, image: Picture | np.ndarray, caption: str) -> Caption:
        """The given caption as if the model had written it: its log-probabilities, and where the model looked.

        The caption is tidied as those are that the run learnt from (see `attend.data.captions.tidy`). Raises
        `ValueError` for one that can't be learnt, and as `predict` does.
        """
        (several,), left_out = usable([(caption,)], (), self.task.data.longest)
        if not several:
            raise ValueError(f"the caption can't be scored: {next(iter(left_out.images))}")
        return next(self.task.force(self.systems[0], self.taken(image), several))

    def score(self, pairs: Sequence[tuple[Picture | np.ndarray, str]]) -> list[float]:
        """log p(caption | image) of each pair, in nats, END included. Raises `ValueError` as `attention` does."""
        return [self.attention(image, caption).log_prob for image, caption in pairs]

    def taken(self, image: Picture | np.ndarray) -> Images | Grids:
        """One image, or one grid, as the system takes it."""
        form = self.task.form
        if not isinstance(form, GridForm):
            return Images(pixels_of(image, form)[np.newaxis], names=(name_of(image),))
        if not isinstance(image, np.ndarray):
            path, number = str(image), None
            if not Path(path).exists() and (named := re.fullmatch(r"(.+):(\d+)", path)):
                path, number = named[1], int(named[2])
            grids = self.task.decoded([path])
            if number is None and len(grids) > 1:
                raise ValueError(f"{path} has {len(grids):,} grids: say which, such as {path}:1")
            number = 1 if number is None else number
            if not 1 <= number <= len(grids):
                raise ValueError(f"{image}: the file has grids 1 to {len(grids):,}")
            return grids.select(np.array([number - 1]))
        if image.shape != tuple(form) or image.dtype.kind != "f":
            what = f"the array is {image.dtype} of shape {image.shape}"
            raise ValueError(f"{what}; this run takes floats of {tuple(form)}")
        return Grids(image[np.newaxis])

    def part(self, split: Split) -> Frozen:
        """A part of the run's own data. Raises `ValueError` if it has no such part."""
        if not self.task.frozen:
            self.task.read(lambda line: None)
        return named_part(self.task.frozen, split)

    def evaluate(self, split: Split, report: Tell | None = None) -> Evaluation:
        """As in `attend.contract.Model`, with the run's own search."""
        return self.task.evaluate(self.systems[0], self.part(split), self.how(), report)


def read_parts(data: CaptionData, seed: int, log: Callable[[str], None]) -> dict[Part, Frozen]:
    """The parts of the data that is not generated anew. Raises `DataError` or `ValueError` if it can't be learnt."""
    if data.generated == "scenes":
        return {}
    parts: Mapping[Part, Images | Grids]
    if data.generated == "nlvr":
        train, valid = divide(read_nlvr("dev", NLVR_FORM))
        parts = {"train": train, "valid": valid, "test": read_nlvr("hidden", NLVR_FORM)}
        place = "NLVR"
    elif data.folder:
        parts, place = folder_parts(data.folder, data.form, log), data.folder
    elif data.train:
        place = data.train[0]
        named: dict[Part, tuple[str, ...]] = {"train": data.train, "valid": data.valid, "test": data.test}
        parts = {part: read_captioned_grids(part, paths) for part, paths in named.items() if paths}
    else:
        raise ValueError("there is nothing to learn from: set data.folder, data.train or data.generated")
    check_parts(parts, data)
    found: dict[Part, Frozen] = {}
    for part, images in parts.items():
        found[part] = with_captions(part, images, data.longest, place, log)
    if "valid" not in found:
        learnt, held = divided(len(found["train"]), data.held_out, seed, place)
        found |= {"train": found["train"].select(learnt), "valid": found["train"].select(held)}
        say_held_out(len(found["valid"]), log)
    return found


def read_captioned_grids(part: Part, paths: tuple[str, ...]) -> Grids:
    if len(paths) != 2:
        problem = f"data.{part} names {counted(len(paths), 'file')}"
        raise DataError(", ".join(paths), problem, "give one of features and one of captions")
    return read_grids(*paths)


def with_captions(part: Part, images: Images | Grids, longest: int, place: str, log: Callable[[str], None]) -> Frozen:
    """The images that have a caption to learn, with it. Raises `DataError` if none has."""
    if images.captions is None:
        advice = "give metadata.csv or metadata.jsonl with the columns file_name and caption"
        raise DataError(place, f"the {part} images have no captions", advice)
    kept, left_out = usable(images.captions, images.names, longest)
    if left_out.images:
        log(f"{part}: {left_out}")
    index = np.array([number for number, several in enumerate(kept) if several], dtype=np.int64)
    if not len(index):
        raise DataError(place, f"no {part} caption is left to use ({left_out})", "check the captions")
    chosen = images if len(index) == len(images) else images.select(index)
    return Frozen(chosen, tuple(kept[number] for number in index))


def taken_form(images: Images | Grids, fit: Literal["exact", "pad", "crop"]) -> Form | GridForm:
    """What a run takes that learns from such."""
    return GridForm(*images.features.shape[1:]) if isinstance(images, Grids) else form_of(images, fit)


def captioned(
    images: Float32[np.ndarray, "batch channel rows columns"], ids: Sequence[Int[np.ndarray, "_"]]
) -> Captioned:
    padded = collate(ids, ids)
    return Captioned(torch.from_numpy(images), padded.target, padded.target_mask)


def drawn_cells(weights: Float[np.ndarray, "step memory"], seed: int) -> Int[np.ndarray, "step"]:
    """A cell for each step, by its weights: the same every time."""
    chance = np.random.default_rng([seed]).random((len(weights), 1)) * weights.sum(1, keepdims=True)
    return np.minimum((weights.cumsum(1) <= chance).sum(1), weights.shape[1] - 1)


def over_time(words: Sequence[Float[np.ndarray, "_ memory"]], rows: int, columns: int) -> dict[str, float]:
    """How spread out attention is (nats), and how far apart its middles are in different images, at each step.

    The steps are those that at least half of the captions have. A path that ignores the image has no spread.
    """
    centres, entropies = [centre_of(each, rows, columns) for each in words], [row_entropy(each) for each in words]
    figures = {"attention_entropy": float(np.mean([each.mean() for each in entropies]))}
    spread = []
    for step in range(int(np.median([len(each) for each in words]))):
        places = np.stack([each[step] for each in centres if len(each) > step])
        spread.append(float(spread_over_images(places[:, np.newaxis])[0]))
        entropy = np.mean([each[step] for each in entropies if len(each) > step])
        figures[f"attention_entropy_step_{step + 1}"] = float(entropy)
    figures |= {f"places_spread_step_{number}": value for number, value in enumerate(spread, start=1)}
    return figures | {"places_spread_over_images": float(np.mean(spread))}


def device_of(system: Any) -> torch.device:
    inner = system.decoder if isinstance(system, Shuffled) else system
    return next(inner.parameters()).device


def caption_figures(texts: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[dict[str, float], str]:
    """What the task measures, and BLEU's signature."""
    bleu4, signature = metrics.caption_bleu(texts, references)
    figures = {
        "exact_match": metrics.caption_match(texts, references),
        "bleu4": bleu4,
        "cider": metrics.cider(texts, references),
    }
    return figures, signature


def pointing(captions: Sequence[Caption], drawn: Scenes, rows: int, columns: int) -> dict[str, float]:
    """Of all objects in scenes, how often the strongest cell at a word is in the object's box; and by chance.

    The captions are the scenes' own. The accuracy is at an object's noun, the last word of what names it ("circle" of
    "red circle"). A model may read all of an object at the first word, and then remember: beside it is the accuracy at
    that word, and the share of objects looked at with either.
    """
    at_noun, at_first, chances = [], [], []
    for number, caption in enumerate(captions):
        starts = {token.start: step for step, token in enumerate(caption.tokens)}
        ends = {token.end: step for step, token in enumerate(caption.tokens)}
        spans = drawn.mentions[number]
        boxes = drawn.boxes[number, : len(spans)].astype(np.float64)
        at_noun.append(points_inside(caption.weights[[ends[end] for _, end in spans]], boxes, rows, columns))
        at_first.append(points_inside(caption.weights[[starts[start] for start, _ in spans]], boxes, rows, columns))
        chances += [cells_in_box(box, rows, columns).mean() for box in boxes]
    noun, first = np.concatenate(at_noun), np.concatenate(at_first)
    return {
        "pointing_accuracy": float(noun.mean()),
        "pointing_accuracy_first_word": float(first.mean()),
        "pointing_accuracy_either_word": float((noun | first).mean()),
        "pointing_by_chance": float(np.mean(chances)),
    }
