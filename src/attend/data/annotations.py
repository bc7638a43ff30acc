"""Captions as COCO publishes them: one JSON object, whose annotations name their images by number.

    {"images": [{"id": 9, "file_name": "a.jpg"}], "annotations": [{"image_id": 9, "caption": "A red dot."}]}

Annotations are the examples, and are counted as lines are, from 1.
"""

import json
from collections.abc import Iterator
from typing import Any

from attend.data.files import DataError, locate


def read_annotations(path: str) -> Iterator[tuple[int, str, str] | DataError]:
    """The number, the image's file and the caption of each annotation, with an error for each that is malformed.

    Raises `DataError` for a file that is no such object.
    """

    def wrong(problem: str, number: int | None = None) -> DataError:
        advice = "give COCO's captions: images with id and file_name, annotations with image_id and caption"
        return DataError(path, problem, advice, number, "malformed line")

    try:
        content = json.loads(locate(path).read_bytes())
    except OSError as error:
        raise DataError(path, f"cannot be read ({error.strerror})", "check the file") from error
    except (ValueError, RecursionError) as error:
        raise wrong(f"is not JSON ({error})") from error
    lists = [content.get(key) if isinstance(content, dict) else None for key in ("images", "annotations")]
    if not all(isinstance(one, list) for one in lists):
        raise wrong("has no lists of images and annotations")
    images, annotations = lists
    files = {key(one, "id"): key(one, "file_name") for one in images or ()}
    for number, one in enumerate(annotations or (), start=1):
        file, caption = files.get(key(one, "image_id")), key(one, "caption")
        if not isinstance(file, str):
            yield wrong(f"the annotation is of the image {key(one, 'image_id')!r:.40}, which has no file_name", number)
        elif not isinstance(caption, str):
            yield wrong("the annotation has no caption", number)
        else:
            yield number, file, caption


def key(record: Any, name: str) -> Any:
    """A value of a record that should be an object with numbers and texts; None for any other."""
    value = record.get(name) if isinstance(record, dict) else None
    return value if isinstance(value, int | str) else None
