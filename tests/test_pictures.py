"""Grids are exact where the pictures are and legible around them; files are written whole or not at all."""
import os
import stat

import numpy as np
import pytest
from PIL import Image, ImageDraw

from imaetool import pictures
from imaetool.pictures import grid, save_gif, save_png, side_by_side


def noise(rows=2, columns=3, channels=3, height=16, width=16, seed=0):
    shape = (rows, columns, channels, height, width)
    return np.random.default_rng(seed).integers(0, 200, shape, dtype=np.uint8)      # dark: the paper is white


@pytest.fixture
def texts(monkeypatch):
    """Each text drawn with the box that its ink fills: [(text, (left, top, right, bottom))]."""
    drawn, real = [], ImageDraw.ImageDraw.multiline_text

    def record(self, xy, text, fill, font, **options):
        drawn.append((text, self.multiline_textbbox(xy, text, font, align=options["align"])))
        real(self, xy, text, fill, font, **options)
    monkeypatch.setattr(ImageDraw.ImageDraw, "multiline_text", record)
    return drawn


def meet(a, b) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def places(sheet, images, scale):
    """Where each picture stands: found by its pixels, so that a wrong or missing picture fails."""
    sheet, boxes = np.asarray(sheet), []
    for picture in images.reshape(-1, *images.shape[2:]):
        cell = np.broadcast_to(picture, (3, *picture.shape[1:])).transpose(1, 2, 0).repeat(scale, 0).repeat(scale, 1)
        height, width = cell.shape[:2]
        candidates = np.argwhere((sheet[:-height + 1, :-width + 1] == cell[0, 0]).all(-1))
        found = [(x, y, x + width, y + height) for y, x in candidates.tolist()
                 if (sheet[y:y + height, x:x + width] == cell).all()]
        assert len(found) == 1
        boxes += found
    return boxes


@pytest.mark.parametrize("channels", [1, 3])
def test_every_picture_is_in_its_place_to_the_pixel(channels):
    images = noise(channels=channels)
    boxes = places(grid(images, gap=4), images, scale=3)             # 16 pixels become 48
    assert [box[0] - boxes[0][0] for box in boxes] == [0, 52, 104] * 2
    assert [box[1] - boxes[0][1] for box in boxes] == [0] * 3 + [52] * 3


def test_the_scale_can_be_given_and_large_pictures_stay_as_they_are():
    images = noise(height=60, width=50)
    places(grid(images), images, scale=1)
    places(grid(images, scale=2), images, scale=2)


def test_floats_are_rounded_and_clipped():
    values = np.array([0.0, 0.25, 1.0, -3.0, 7.0, np.nan], np.float32)
    images = np.broadcast_to(values[:, None, None, None], (1, 6, 1, 8, 8))
    sheet = np.asarray(grid(images, scale=1, gap=0))
    row = sheet[sheet.shape[0] // 2, :, 0]
    start = next(i for i in range(len(row)) if row[i] == 0)
    assert row[start + 4:start + 48:8].tolist() == [0, 64, 255, 0, 255, 0]


@pytest.mark.parametrize("labels", [
    dict(),
    dict(row_labels=["unit 3", "a"], column_labels=["-1", "0", "+1"], title="Title", row_notes=["0.9 nats", "1"]),
    dict(column_labels=["averyverylongunbreakablelabel", "b", "andanotherquitelongone"]),
    dict(column_labels=["a long label of many words", "and another long label", "g"], title="t " * 90),
    dict(row_labels=["one\ntwo\nthree\nfour\nfive\nsix", "seven\n" * 6], row_notes=["w " * 80, "n\nn\nn\nn\nn"]),
    dict(row_labels=["βλ − é", "漢字"], title="x" * 200, column_labels=["", "\udcff", "\t\x00"]),
])
@pytest.mark.parametrize("size", [(16, 16), (100, 20)])
def test_no_text_is_cut_or_touches_anything(texts, labels, size):
    images = noise(height=size[0], width=size[1])
    sheet = grid(images, **labels)
    scale = 3
    boxes = places(sheet, images, scale)
    assert len(texts) == sum(1 if isinstance(given, str) else len(given) for given in labels.values())
    visible = [box for text, box in texts if text.strip()]
    for i, box in enumerate(visible):
        assert box[0] >= 0 and box[1] >= 0 and box[2] <= sheet.width and box[3] <= sheet.height
        assert not any(meet(box, other) for other in visible[i + 1:] + boxes)


def test_labels_stand_beside_their_own_row_and_column(texts):
    images = noise()
    boxes = places(grid(images, row_labels=["r0", "row1"], column_labels=["c0", "c1", "c2"], row_notes=["n0", "n1"]),
                   images, scale=3)
    at = dict(texts)
    for r, (label, note) in enumerate([("r0", "n0"), ("row1", "n1")]):
        cell = boxes[3 * r]
        assert at[label][2] <= cell[0] and at[note][0] >= boxes[3 * r + 2][2]
        assert cell[1] < at[label][1] and at[label][3] < cell[3]
    assert abs(at["r0"][2] - at["row1"][2]) <= 1                      # right-aligned
    for c in range(3):
        box, cell = at[f"c{c}"], boxes[c]
        assert abs((box[0] + box[2]) / 2 - (cell[0] + cell[2]) / 2) <= 2 and box[3] <= cell[1]


def test_all_the_words_are_there(texts):
    grid(noise(), title="all the words of a title that is far too long for one line of this sheet",
         column_labels=["floor hue of it", "b", "c"])
    words = " ".join(text for text, _ in texts).split()
    assert words == ("floor hue of it b c all the words of a title that is far too long for one line "
                     "of this sheet").split()


def test_pale_pictures_get_an_outline_and_dark_ones_none():
    line = Image.new("RGB", (1, 1), pictures.HAIRLINE).getpixel((0, 0))
    colours = [set(map(tuple, np.asarray(grid(np.full((1, 2, 1, 8, 8), value, np.uint8))).reshape(-1, 3).tolist()))
               for value in (255, 0)]
    assert line in colours[0] and line not in colours[1]


@pytest.mark.parametrize("wrong", [noise()[0], noise(channels=2), noise().astype(int), noise()[:0]])
def test_wrong_arrays_are_refused(wrong):
    with pytest.raises(ValueError):
        grid(wrong)


@pytest.mark.parametrize("name", ["row_labels", "column_labels", "row_notes"])
def test_a_wrong_number_of_labels_is_refused(name):
    with pytest.raises(ValueError, match=name):
        grid(noise(), **{name: ["one"]})


def test_what_no_font_has_is_spelt(monkeypatch):
    monkeypatch.setattr(pictures, "SYSTEM_FONTS", ())
    pictures._font.cache_clear()
    assert pictures._Text("β − é 漢", 14, 500, alphabet="β − é 漢").text == "beta - e ?"
    pictures._font.cache_clear()


def test_side_by_side():
    images = noise(rows=1, columns=2)
    before, after = images[0]
    boxes = places(side_by_side(before, after), images, scale=3)
    assert boxes[0][0] < boxes[1][0] and boxes[0][1] == boxes[1][1]
    picture = Image.fromarray(before.transpose(1, 2, 0))
    assert side_by_side(picture, after).tobytes() == side_by_side(before, after).tobytes()
    batch = noise(rows=3, columns=2)
    places(side_by_side(batch[:, 0], batch[:, 1]), batch, scale=3)
    with pytest.raises(ValueError, match="differ"):
        side_by_side(before, noise(height=8)[0, 0])


# Files

def test_save_png_keeps_every_pixel_and_obeys_the_umask(tmp_path):
    sheet, file = grid(noise()), tmp_path / "a.png"
    old = os.umask(0o027)
    try:
        save_png(sheet, file)
    finally:
        os.umask(old)
    with Image.open(file) as image:
        assert image.format == "PNG" and image.tobytes() == sheet.tobytes()
    assert os.listdir(tmp_path) == ["a.png"]
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    file = tmp_path / "a.png"
    file.write_text("old")

    def half(self, sink, **_):
        sink.write(b"half a picture")
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(Image.Image, "save", half)
    for save in (lambda: save_png(grid(noise()), file), lambda: save_gif([grid(noise())], file)):
        with pytest.raises(OSError, match="No space left on device") as caught:
            save()
        assert caught.value.filename == str(file)
        assert file.read_text() == "old" and os.listdir(tmp_path) == ["a.png"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        save_png(grid(noise()), tmp_path / "nowhere" / "a.png")


def played(file) -> list[np.ndarray]:
    with Image.open(file) as image:
        assert image.info["loop"] == 0
        frames = []
        for i in range(image.n_frames):
            image.seek(i)
            assert image.info["duration"] == 80
            frames.append(np.asarray(image.convert("RGB")).astype(int))
    return frames


def test_a_grey_gif_is_exact_and_bounces(tmp_path):
    frames = [Image.fromarray(noise(seed=i)[0, 0, 0]) for i in range(4)]
    save_gif(frames, tmp_path / "a.gif")
    shown = played(tmp_path / "a.gif")
    assert len(shown) == 6
    for frame, i in zip(shown, [0, 1, 2, 3, 2, 1]):
        np.testing.assert_array_equal(frame[..., 0], np.asarray(frames[i]))
    save_gif(frames, tmp_path / "a.gif", bounce=False)
    assert len(played(tmp_path / "a.gif")) == 4
    save_gif(frames[:1], tmp_path / "one.gif")
    with Image.open(tmp_path / "one.gif") as image:
        assert image.n_frames == 1


def test_what_stands_still_in_a_colour_gif_does_not_flicker(tmp_path):
    ramp = np.linspace(0, 255, 64)
    frames = []
    for i in range(10):
        frame = np.zeros((64, 64, 3), np.uint8)
        frame[..., 0], frame[..., 1] = ramp[None], ramp[:, None]
        frame[40:, :, 2] = 25 * i                                    # only the lower part changes
        frames.append(Image.fromarray(frame))
    save_gif(frames, tmp_path / "a.gif", bounce=False)
    shown = played(tmp_path / "a.gif")
    for frame, original in zip(shown, frames):
        np.testing.assert_array_equal(frame[:40], shown[0][:40])
        assert abs(frame - np.asarray(original).astype(int)).mean() < 8


def test_frames_of_two_sizes_or_none_are_refused(tmp_path):
    for frames in ([], [Image.new("L", (4, 4)), Image.new("L", (5, 4))]):
        with pytest.raises(ValueError):
            save_gif(frames, tmp_path / "a.gif")
