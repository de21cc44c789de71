"""Labelled grids of pictures, and writing them as PNG and GIF.

    grid          rows and columns of pictures with labels, on white
    side_by_side  before and after
    save_png, save_gif   written whole or not at all
"""
import functools
import textwrap
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from imaetool.errors import UserError
from imaetool.files import writing

__all__ = ["grid", "save_gif", "save_png", "side_by_side"]

INK, QUIET, HAIRLINE, PAPER = "#1a1a1a", "#666666", "#d0d0d0", "white"
CELL = 48               # pixels: a smaller picture is enlarged at least to this
SYSTEM_FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial Unicode.ttf", "Arial.ttf", "arial.ttf",
                "NotoSansCJK-Regular.ttc", "msgothic.ttc", "PingFang.ttc")   # for what Pillow's own font lacks


def grid(images: np.ndarray, *, row_labels: Sequence | None = None, column_labels: Sequence | None = None,
         title: str | None = None, row_notes: Sequence | None = None, scale: int | None = None,
         gap: int = 2) -> Image.Image:
    """Pictures in rows and columns with their labels; nothing is cut and no text touches another.

    Arguments:
        images: (R, columns, C, H, W), C 1 or 3, uint8 or floats in [0, 1].
        row_labels, row_notes: R texts at the left and at the right of the rows.
        column_labels: one text over each column.
        title: one text over all.
        scale: whole number of pixels for each pixel; by default enough for cells of 48 pixels.
        gap: pixels between cells.
    """
    pixels = _uint8(images)
    rows, columns, _, height, width = pixels.shape
    scale = scale or max(1, -(-CELL // min(height, width)))
    cell_w, cell_h = width * scale, height * scale
    size = int(np.clip(0.2 * min(cell_w, cell_h), 13, 22))
    margin = size
    alphabet = "".join(map(str, [*(row_labels or ()), *(column_labels or ()), *(row_notes or ()), title or ""]))
    text = functools.partial(_Text, alphabet="".join(sorted(set(alphabet))))

    heads = _checked(column_labels, columns, "column_labels")
    word = max([text(word, size, 0).width for head in heads for word in str(head).split()], default=0)
    heads = [text(head, size, max(cell_w, word)) for head in heads]
    names = [text(label, size, 16 * size) for label in _checked(row_labels, rows, "row_labels")]
    notes = [text(label, size, 16 * size) for label in _checked(row_notes, rows, "row_notes")]
    pitch_x = max([cell_w + gap] + [head.width + size // 2 for head in heads])
    pitch_y = max([cell_h + gap] + [label.height + size // 3 for label in names + notes])
    wide, high = (columns - 1) * pitch_x + cell_w, (rows - 1) * pitch_y + cell_h
    left, right = (max(texts, default=0) for texts in ([n.width + size // 2 for n in names],
                                                       [n.width + size // 2 for n in notes]))
    spill = max(0, -(-max([head.width - cell_w for head in heads], default=0) // 2))    # of the outer column labels
    left, right = max(left, spill), max(right, spill)
    banner = text(title, round(1.25 * size), max(left + wide + right, 16 * size)) if title else None
    extra = max(0, banner.width - (left + wide + right)) if banner else 0
    x0 = margin + left + extra // 2
    top = max([head.height for head in heads], default=0)
    y0 = margin + (banner.height + round(0.7 * size) if banner else 0) + (top + size // 3 if heads else 0)
    overhang = max([0] + [-(-(label.height - cell_h) // 2) for label in names + notes])  # of tall labels, outer rows
    y0 += overhang
    canvas = Image.new("RGB", (x0 + wide + right + extra - extra // 2 + margin, y0 + high + overhang + margin), PAPER)
    draw = ImageDraw.Draw(canvas)

    outlined = _has_pale_edges(pixels)
    for r in range(rows):
        y = y0 + r * pitch_y
        for c in range(columns):
            x = x0 + c * pitch_x
            canvas.paste(_image(pixels[r, c]).resize((cell_w, cell_h), Image.Resampling.NEAREST), (x, y))
            if outlined:
                draw.rectangle((x - 1, y - 1, x + cell_w, y + cell_h), outline=HAIRLINE)
        middle = y + cell_h / 2
        if names:
            names[r].draw(draw, x0 - size // 2 - names[r].width, middle - names[r].height / 2, INK, "right")
        if notes:
            notes[r].draw(draw, x0 + wide + size // 2, middle - notes[r].height / 2, QUIET, "left")
    for c, head in enumerate(heads):
        head.draw(draw, x0 + c * pitch_x + (cell_w - head.width) / 2, y0 - overhang - size // 3 - head.height, INK,
                  "center")
    if banner:
        centred = x0 + (wide - banner.width) / 2    # over the pictures, where the paper is wide enough
        banner.draw(draw, np.clip(centred, margin, canvas.width - margin - banner.width), margin, INK, "center")
    return canvas


def side_by_side(before, after, labels: Sequence[str] = ("before", "after")) -> Image.Image:
    """Two pictures, or two batches row by row: arrays (C, H, W) or (N, C, H, W), or Pillow images of one size."""
    pair = [_array(picture) for picture in (before, after)]
    if pair[0].shape != pair[1].shape:
        raise ValueError(f"before {pair[0].shape} and after {pair[1].shape} differ in shape")
    return grid(np.stack(pair, axis=1), column_labels=labels)


def save_png(image: Image.Image, path) -> None:
    """Write a PNG: the file at `path` is the whole picture, or what it was before. UserError for a name of another kind."""
    if Path(path).suffix.lower() != ".png":
        raise UserError(f"cannot write {path}: its name must end in .png")
    _save(image, path, format="PNG", optimize=True)


def save_gif(frames: Sequence[Image.Image], path, ms: int = 80, bounce: bool = True) -> None:
    """Write an endless animation, each frame shown for `ms`; with `bounce` it runs forward and back.

    All frames share one palette, so that what does not move does not flicker.
    """
    frames = list(frames)
    if not frames or len({frame.size for frame in frames}) != 1:
        raise ValueError("a GIF needs one frame or more, all of one size")
    frames = _one_palette(frames)
    if bounce:
        frames += frames[-2:0:-1]
    _save(frames[0], path, format="GIF", save_all=True, append_images=frames[1:], duration=max(20, ms), loop=0,
          optimize=False, disposal=1)


def _save(image: Image.Image, path, **options) -> None:
    with writing(path) as file:
        image.save(file, **options)


def _one_palette(frames: list) -> list:
    frames = [frame.convert("RGB") for frame in frames]
    if all(_is_grey(frame) for frame in frames):
        return [frame.convert("L") for frame in frames]
    width, height = frames[0].size
    shown = [frames[i] for i in np.linspace(0, len(frames) - 1, min(8, len(frames))).round().astype(int)]
    strip = Image.new("RGB", (width, height * len(shown)))
    for i, frame in enumerate(shown):
        strip.paste(frame, (0, i * height))
    skip = int(np.ceil(np.sqrt(strip.width * strip.height / 500_000)))      # a sample of the pixels is enough
    if skip > 1:
        strip = strip.resize((-(-strip.width // skip), -(-strip.height // skip)), Image.Resampling.NEAREST)
    palette = strip.quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=1)
    return [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]


def _is_grey(frame: Image.Image) -> bool:
    pixels = np.asarray(frame)
    return bool((pixels == pixels[..., :1]).all())


# Text

class _Text:
    """One label: wrapped at spaces to `width` where it can be, measured as it will be drawn."""

    def __init__(self, text, size: int, width: float, alphabet: str = ""):
        self.font, spell = _font(size, alphabet)
        self.text = _wrap(spell(_printable(text)), self.font, width)
        self.left, self.top, right, bottom = _measure(self.text, self.font)
        line = _measure("Ag", self.font)            # so that "a" and "g" stand on one line
        if "\n" not in self.text:
            self.top, bottom = min(self.top, line[1]), max(bottom, line[3])
        self.width, self.height = int(np.ceil(right - self.left)), int(np.ceil(bottom - self.top))

    def draw(self, draw: ImageDraw.ImageDraw, x: float, y: float, colour: str, align: str) -> None:
        draw.multiline_text((round(x - self.left), round(y - self.top)), self.text, colour, self.font, align=align)


_ruler = ImageDraw.Draw(Image.new("L", (1, 1)))


def _measure(text: str, font) -> tuple:
    return _ruler.multiline_textbbox((0, 0), text, font)


def _wrap(text: str, font, width: float) -> str:
    """Break lines at spaces only, into the fewest characters a line that bring the text under `width`."""
    for letters in range(len(text), 0, -1):
        lines = "\n".join(textwrap.fill(line, letters, break_long_words=False, break_on_hyphens=False)
                          for line in text.splitlines())
        if _measure(lines, font)[2] <= width or letters == 1:
            return lines
    return text


def _printable(text) -> str:
    text = str(text).encode("utf-8", "replace").decode()
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


@functools.lru_cache(maxsize=64)
def _font(size: int, alphabet: str):
    """(a font that has all the letters, or the nearest; how to spell what it lacks)."""
    best, missing = None, None
    for name in (None, *SYSTEM_FONTS):
        try:
            font = ImageFont.load_default(size) if name is None else ImageFont.truetype(name, size)
        except OSError:
            continue
        lacks = {c for c in alphabet if not c.isspace() and c.isprintable() and not _has(font, c)}
        if best is None or len(lacks) < len(missing):
            best, missing = font, lacks
        if not missing:
            break
    return best, lambda text: "".join(_spelt(c) if c in missing else c for c in text)


def _has(font, letter: str) -> bool:
    if letter.isascii():
        return True
    with suppress(UnicodeEncodeError):
        return bytes(font.getmask(letter)) != bytes(font.getmask("\uffff"))
    return False


def _spelt(letter: str) -> str:
    """A letter in ASCII where that is plain: é as e, β as beta, − as -."""
    name = unicodedata.name(letter, "")
    if name.startswith("GREEK"):
        return name.split()[-1].lower()
    if unicodedata.category(letter) == "Pd" or name == "MINUS SIGN":
        return "-"
    plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return plain or "?"


# Arrays

def _uint8(images) -> np.ndarray:
    """(R, columns, C, H, W) as uint8."""
    images = np.asarray(images)
    if images.ndim != 5 or images.shape[2] not in (1, 3) or 0 in images.shape:
        raise ValueError(f"images must be (rows, columns, 1 or 3, height, width), not {images.shape}")
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind != "f":
        raise ValueError(f"images must be uint8, or floats from 0 to 1, not {images.dtype}")
    return (np.nan_to_num(images).clip(0, 1) * 255).round().astype(np.uint8)


def _array(picture) -> np.ndarray:
    """A picture or a batch as (N, C, H, W)."""
    if isinstance(picture, Image.Image):
        picture = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    picture = np.asarray(picture)
    return picture[None] if picture.ndim == 3 else picture


def _image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def _has_pale_edges(pixels: np.ndarray) -> bool:
    """Whether some picture would run into the white paper."""
    edges = [pixels[..., 0, :], pixels[..., -1, :], pixels[..., :, 0], pixels[..., :, -1]]
    return any(bool((edge.min(axis=2).mean(axis=-1) > 235).any()) for edge in edges)


def _checked(labels: Sequence | None, count: int, name: str) -> Sequence:
    if labels is not None and len(labels) != count:
        raise ValueError(f"{name} has {len(labels)} texts for {count}")
    return labels or ()
