"""Pictures decoded by Pillow: a closed list of formats, a limit on pixels, nothing cut short. H, W = height, width.

Of an animation, the first frame; transparency is dropped, and orientation tags are not followed, as in torchvision.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError, WebPImagePlugin

from worker.engine.failures import Refused
from worker.engine.files.file_kinds import words_for

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
MAX_PIXELS = 50_000_000
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_OURS = {f"a {form} image" for form in FORMATS}
_GREY = {"1", "L", "LA", "La"}
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, OverflowError, struct.error, zlib.error)
"""What Pillow's readers raise on files that are damaged."""

assert WebPImagePlugin.SUPPORTED  # imported here, or Pillow would import each of its readers to find this one
Image.MAX_IMAGE_PIXELS = MAX_PIXELS


@dataclass(frozen=True)
class Header:
    """What a picture says of itself before it is decoded."""

    size: tuple[int, int]
    """(H, W)."""
    grey: bool


def header(name: str, content: bytes) -> Header:
    """Return a picture's size and colours. Raises Refused where it is none, or too large."""
    with _opened(name, content) as picture:
        return Header((picture.height, picture.width), picture.mode in _GREY)


def decode(name: str, content: bytes, channels: int, size: tuple[int, int], resample: str) -> NDArray[np.uint8]:
    """Return (channels, H, W), resized where it has another size. Raises Refused."""
    with _opened(name, content) as picture:
        shown = _converted(picture, "L" if channels == 1 else "RGB")
        if (shown.height, shown.width) != size:
            shown = shown.resize((size[1], size[0]), FILTERS[resample])
        pixels = np.asarray(shown, dtype=np.uint8)
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


@contextmanager
def _opened(name: str, content: bytes) -> Iterator[Image.Image]:
    try:
        # Pillow only warns of what has less than twice the limit.
        with (
            warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning),
            _open(content) as picture,
        ):
            if picture.mode.startswith(("I", "F")):
                raise Refused(f"The picture {name!r} has more than 8 bits a channel: save it with 8.")
            yield picture
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Refused(f"The picture {name!r} has more than {MAX_PIXELS:,} pixels: make it smaller.") from error
    except UnidentifiedImageError as error:
        kind = words_for(content[:512])
        if kind in _OURS:
            raise Refused(f"The picture {name!r} is cut short or damaged.") from error
        raise Refused(f"The file {name!r} is no PNG, JPEG, WebP, BMP or GIF picture: it looks like {kind}.") from error
    except _BROKEN as error:
        raise Refused(f"The picture {name!r} is cut short or damaged ({error}).") from error


def _open(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content), formats=FORMATS)


def _converted(picture: Image.Image, mode: str) -> Image.Image:
    if picture.mode == "P" and "transparency" in picture.info:
        picture = picture.convert("RGBA")
    return picture.convert(mode)
