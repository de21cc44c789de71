"""From a Pillow image of any mode to 8 bits, the right size and one background."""
import math

import numpy as np
from PIL import Image

__all__ = ["Refused", "draft", "eight_bits", "fit", "orientation", "upright"]

_ORIENTATION = 0x0112           # EXIF and TIFF tag
_UPRIGHT = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_90}


class Refused(Exception):
    """A picture that is not read on purpose; carries a reason that is ready to be shown."""


def orientation(image) -> int:
    """1 to 8, as in EXIF; 5 and more exchange width and height."""
    places = {"PNG": {"exif"}, "JPEG": {"exif", "xmp"}}.get(image.format)
    if places and not places & image.info.keys():               # getexif is slow, and decodes the whole of a PNG
        return 1
    try:
        number = image.getexif().get(_ORIENTATION)
    except Exception:                                           # a damaged note about a sound picture
        return 1
    return number if number in range(1, 9) else 1


def upright(picture, number: int):
    """The picture turned or mirrored as its orientation number says."""
    return picture.transpose(_UPRIGHT[number]) if number in _UPRIGHT else picture


def draft(image, mode: str, size: tuple[int, int]) -> None:
    """Let the JPEG decoder shrink by 2, 4 or 8 while it decodes, to no less than twice what is needed."""
    if image.format in ("JPEG", "MPO"):
        enlarge = 2 * max(size) / min(image.size)
        if enlarge <= 0.5 or mode != image.mode:
            image.draft(mode, tuple(math.ceil(side * enlarge) for side in image.size))


def eight_bits(image, grey: bool):
    """Any mode to L or RGB, with an A where the picture has transparency."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        image = Image.fromarray(_scaled(image))
    elif image.mode == "LAB":
        from PIL import ImageCms
        image = ImageCms.profileToProfile(image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"),
                                          outputMode="RGB")
    if image.has_transparency_data:
        return image.convert("RGBA").convert("LA" if grey else "RGBA")
    mode = "L" if grey else "RGB"
    if image.mode not in ("1", "L", "RGB"):
        image = image.convert("RGB")
    return image if image.mode == mode else image.convert(mode)


def _scaled(image) -> np.ndarray:
    """Deep grey pixels as uint8 (H, W): the largest number that the bit depth can hold becomes 255."""
    tags = getattr(image, "tag_v2", {})             # TIFF; 16-bit PNG and PGM have none
    bits, kind, ink = (int(np.ravel(tags.get(tag, default))[0]) for tag, default in ((258, 16), (339, 1), (262, 1)))
    values = np.asarray(image).astype(np.float32)
    if image.mode == "F":
        if not (values.min() >= 0 and values.max() <= 1):       # false for NaN too
            raise Refused("floating-point values outside 0 to 1: save it with 8 or 16 bits")
        top = 1
    elif bits > 16:
        raise Refused(f"{bits}-bit integers: save it with 8 or 16 bits")
    else:
        top = 2 ** (bits - (kind == 2)) - 1         # kind 2 is signed
    values = (values.clip(0, top) * (255 / top)).round().astype(np.uint8)
    return 255 - values if ink == 0 else values     # ink 0: the file says that 0 is white


def fit(picture, size: tuple[int, int], crop: str, background: str):
    """Crop and resize with antialiasing, over the background."""
    (height, width), (w, h) = size, picture.size
    box, inner = (0, 0, w, h), (width, height)
    if crop == "center":
        scale = min(w / width, h / height)
        cut_w, cut_h = min(w, width * scale), min(h, height * scale)
        left, top = int((w - cut_w) / 2), int((h - cut_h) / 2)
        box = (left, top, left + cut_w, top + cut_h)
    elif crop == "pad":
        scale = min(width / w, height / h)
        inner = max(1, round(w * scale)), max(1, round(h * scale))
    smaller = inner[0] < box[2] - box[0] or inner[1] < box[3] - box[1]
    method = Image.Resampling.LANCZOS if smaller else Image.Resampling.BICUBIC
    picture = picture.resize(inner, method, box=box, reducing_gap=4.0)
    if inner == (width, height) and not picture.mode.endswith("A"):
        return picture
    canvas = Image.new(picture.mode.rstrip("A"), (width, height), background)
    mask = picture.getchannel("A") if picture.mode.endswith("A") else None
    canvas.paste(picture.convert(canvas.mode), ((width - inner[0]) // 2, (height - inner[1]) // 2), mask)
    return canvas
