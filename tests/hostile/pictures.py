"""Pictures that swell, are cut short, or are something else."""

import io
import struct
import zlib
from pathlib import Path

from PIL import Image

from tests.engine.pictures import encoded, picture, zipped
from tests.hostile.archives import images
from tests.hostile.case import Case, Write

PIXELS = "has more than 50,000,000 pixels"
DAMAGED = "is cut short or damaged"
NO_PICTURE = "is no PNG, JPEG, WebP, BMP or GIF picture"
PNG, JPEG, GIF, WEBP, BMP = (picture(0, (6, 8), form=form) for form in ("PNG", "JPEG", "GIF", "WEBP", "BMP"))


def alone(content: bytes, name: str = "1.png") -> Write:
    """Write an archive of two classes whose first picture is this one."""
    return lambda path: zipped(path, {f"a/{name}": content, "b/2.png": PNG})


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(
    width: int, height: int, *chunks: bytes, depth: int = 8, colours: int = 0, pixels: bytes | None = None
) -> bytes:
    """Return a PNG with any header at all, its pixels packed zeros."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0))
    data = zlib.compress(bytes(min((width + 1) * height, 10**6)) if pixels is None else pixels)
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def bomb(side: int) -> bytes:
    """Return a PNG whose pixels are all there: a black square in a thousandth of its bytes."""
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(bytes(side + 1)) for _ in range(side)) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def animated(frames: int) -> bytes:
    content = io.BytesIO()
    first, *rest = (Image.new("L", (8, 6), place % 256) for place in range(frames))
    first.save(content, "GIF", save_all=True, append_images=rest)
    return content.getvalue()


def with_exif(content: bytes) -> bytes:
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 65_535) + bytes(60_000)
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + content[2:]


def sized(content: bytes, place: int, form: str, *sizes: int) -> bytes:
    changed = bytearray(content)
    struct.pack_into(form, changed, place, *sizes)
    return bytes(changed)


def zip_behind(content: bytes) -> Write:
    """Write a picture and a whole archive of pictures behind it."""

    def write(path: Path) -> None:
        zipped(path, {"a/1.png": PNG, "b/2.png": PNG})
        path.write_bytes(content + path.read_bytes())

    return write


FRAME = JPEG.index(b"\xff\xc0") + 5
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
XML = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><svg>&b;</svg>'
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 6\n(/etc/passwd) (r) file\n"
CASES: list[Case] = [
    images("PNG: 50,000 x 50,000 claimed", alone(png(50_000, 50_000)), PIXELS),
    images("PNG: 2^31 - 1 x 2^31 - 1 claimed", alone(png(2**31 - 1, 2**31 - 1)), PIXELS),
    images("PNG: 8,000 x 8,000, all there", alone(bomb(8_000)), PIXELS),
    images("PNG: 7,000 x 7,000, all there", alone(bomb(7_000)), "differ in size"),
    images("PNG: nothing wide", alone(png(0, 6)), DAMAGED),
    images("PNG: 16 bits", alone(png(8, 6, depth=16, pixels=bytes(17 * 6))), "has more than 8 bits a channel"),
    images("PNG: cut short", alone(PNG[:-40]), DAMAGED),
    images("PNG: pixels missing", alone(png(8, 6, pixels=bytes(10))), DAMAGED),
    images("PNG: pixels that are no deflate",
        alone(png(8, 6).replace(zlib.compress(bytes(54)), b"\xff" * len(zlib.compress(bytes(54))))), DAMAGED),
    images("PNG: 100 MB of pixels too many", alone(png(8, 6, pixels=bytes(10**8))), ""),
    images("PNG: text of 100 MB", alone(png(8, 6, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8))))), DAMAGED),
    images("PNG: text of 100 MB after the pixels",
           alone(png(8, 6)[:-12] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8))) + chunk(b"IEND", b"")),
           DAMAGED),
    images("PNG: a colour profile of 100 MB",
        alone(png(8, 6, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(10**8))))), DAMAGED),
    images("PNG: 20,000 chunks of text", alone(png(8, 6, chunk(b"tEXt", b"a\0b") * 20_000)), ""),
    images("PNG: a palette that is missing", alone(png(8, 6, colours=3)), ""),
    images("APNG: 2^31 frames claimed", alone(png(8, 6, chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)))), ""),
    images("GIF: 500 frames", alone(animated(500), "1.gif"), ""),
    images("GIF: 65,535 x 65,535 claimed", alone(sized(GIF, 6, "<HH", 65_535, 65_535), "1.gif"), PIXELS),
    images("GIF: cut short", alone(GIF[:60], "1.gif"), DAMAGED),
    images("JPEG: 65,500 x 65,500 claimed", alone(sized(JPEG, FRAME, ">HH", 65_500, 65_500), "1.jpg"), PIXELS),
    images("JPEG: an EXIF of 65,535 entries", alone(with_exif(JPEG), "1.jpg"), ""),
    images("JPEG: cut short", alone(JPEG[:-100], "1.jpg"), DAMAGED),
    images("WebP: 16,383 x 16,383 claimed", alone(sized(WEBP, 26, "<HH", 16_383, 16_383), "1.webp"), PIXELS),
    images("BMP: 2^31 - 1 x 2^31 - 1 claimed", alone(sized(BMP, 18, "<ii", 2**31 - 1, 2**31 - 1), "1.bmp"), PIXELS),
    images("BMP: a negative width", alone(sized(BMP, 18, "<i", -8), "1.bmp"), PIXELS),
    images("BMP: pixels beyond the file", alone(sized(BMP, 10, "<I", 2**32 - 1), "1.bmp"), DAMAGED),
    images("SVG that reads a file", alone(SVG), f"{NO_PICTURE}.*markup text"),
    images("XML that reads a file", alone(XML), f"{NO_PICTURE}.*markup text"),
    images("PostScript that reads a file", alone(EPS), f"{NO_PICTURE}.*text"),
    images("TIFF with odd offsets", alone(b"II*\0" + struct.pack("<IH", 8, 65_535) + bytes(100)),
        f"{NO_PICTURE}.*TIFF"),
    images("TIFF", alone(encoded(Image.new("L", (8, 6)), "TIFF")), f"{NO_PICTURE}.*TIFF"),
    images("ICO", alone(encoded(Image.new("L", (16, 16)), "ICO")), NO_PICTURE),
    images("a program", alone(b"\x7fELF" + bytes(100)), f"{NO_PICTURE}.*program"),
    images("nothing", alone(b""), f"{NO_PICTURE}.*empty"),
    images("GIF with a ZIP behind it", zip_behind(GIF), "it looks like a GIF image"),
    images("GIF with a ZIP behind it, in an archive", alone(GIF + b"PK\x05\x06" + bytes(18), "1.gif"), ""),
    images("PDF with a PNG behind it", alone(b"%PDF-1.7\n" + PNG), f"{NO_PICTURE}.*PDF"),
    images("PNG with code behind it", alone(PNG + b"<?php system($_GET[0]); ?>"), ""),
    images("a program with a ZIP behind it", zip_behind(b"MZ" + bytes(510)), "it looks like unknown or damaged"),
]  # fmt: skip
