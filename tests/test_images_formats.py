"""Pictures of every mode, depth, frame and orientation, read as they look."""

import numpy as np
import pytest
from PIL import Image, ImageCms

from drawn import BLACK, BLUE, GREEN, RED, WHITE, corners, png, quadrants, refusal
from imaetool import images
from imaetool.images import peek, read


@pytest.mark.parametrize("bytes_order", ["<u2", ">u2"])
def test_sixteen_bits_are_scaled_by_depth(tmp_path, bytes_order):
    values = np.array([[0, 257], [32896, 65535]], np.uint16)
    tif, deep = tmp_path / "a.tif", tmp_path / "a.png"
    Image.frombytes("I;16" if bytes_order == "<u2" else "I;16B", (2, 2), values.astype(bytes_order).tobytes()).save(tif)
    deep.write_bytes(png(2, 2, 16, 0, b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)))
    for file in (tif, deep):
        assert read(file, channels=1, size=(2, 2)).tolist() == [[[0, 1], [128, 255]]]
        assert read(file, channels=3, size=(2, 2))[:, 1, 1].tolist() == [255] * 3
        assert peek(file)[:3] == (2, 2, 1)


def test_sixteen_bits_with_white_as_zero_are_turned_round(tmp_path):
    file = tmp_path / "a.tif"
    Image.fromarray(np.array([[0, 65535]], np.uint16)).save(file, tiffinfo={262: 0})
    with Image.open(file) as image:
        assert image.tag_v2[262] == 0
    assert read(file, channels=1, size=(1, 2)).tolist() == [[[255, 0]]]


def test_a_sixteen_bit_pgm_is_scaled(tmp_path):
    file = tmp_path / "a.pgm"
    file.write_bytes(b"P5 2 1 65535\n" + np.array([257, 65535], ">u2").tobytes())
    assert read(file, channels=1, size=(1, 2)).tolist() == [[[1, 255]]]


def test_floating_point_from_0_to_1_is_read_and_any_other_refused(tmp_path):
    file = tmp_path / "a.tif"
    Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32)).save(file)
    assert read(file, channels=1, size=(1, 3)).tolist() == [[[0, 128, 255]]]
    for bad in (2.0, -0.1, np.nan, np.inf):
        Image.fromarray(np.array([[0.0, bad]], np.float32)).save(file)
        assert "floating-point values outside 0 to 1" in refusal(file)


def test_thirty_two_bit_integers_are_refused(tmp_path):
    file = tmp_path / "a.tif"
    Image.fromarray(np.array([[0, 70000]], np.int32)).save(file)
    assert "32-bit integers" in refusal(file)


def test_cmyk_jpeg(tmp_path):
    file = tmp_path / "a.jpg"
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(file, quality=95)
    assert read(file, channels=3, size=(8, 8))[:, 4, 4] .tolist() == pytest.approx([255, 0, 0], abs=6)
    assert read(file, channels=1, size=(8, 8))[0, 4, 4] == pytest.approx(76, abs=6)
    assert peek(file) == (16, 16, 3, "CMYK")


def test_lab_tiff(tmp_path):
    file = tmp_path / "a.tif"
    ImageCms.profileToProfile(Image.new("RGB", (8, 8), (200, 30, 60)), ImageCms.createProfile("sRGB"),
                              ImageCms.createProfile("LAB"), outputMode="LAB").save(file)
    assert peek(file)[3] == "LAB"
    assert read(file, channels=3, size=(8, 8))[:, 4, 4] .tolist() == pytest.approx([200, 30, 60], abs=6)


def test_ycbcr_tiff_and_jpeg_colours(tmp_path):
    for name, options in (("a.tif", {"compression": "jpeg"}), ("a.jpg", {})):
        file = tmp_path / name
        Image.new("RGB", (32, 32), (10, 200, 90)).convert("YCbCr").save(file, **options)
        assert read(file, channels=3, size=(8, 8))[:, 4, 4] .tolist() == pytest.approx([10, 200, 90], abs=6)


def test_one_bit_and_la(tmp_path):
    one, la = tmp_path / "one.png", tmp_path / "la.png"
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1").save(one)
    assert read(one, channels=1, size=(1, 2)).tolist() == [[[0, 255]]]
    Image.new("LA", (4, 4), (100, 0)).save(la)
    assert np.unique(read(la, channels=1, size=(4, 4), background="white")).tolist() == [255]
    assert np.unique(read(la, channels=3, size=(4, 4), background="black")).tolist() == [0]
    Image.new("LA", (4, 4), (100, 255)).save(la)
    assert np.unique(read(la, channels=1, size=(4, 4), background="white")).tolist() == [100]


@pytest.mark.parametrize("background, expected", [("black", [128, 0, 0]), ("white", [255, 127, 127]),
                                                  ("#0000ff", [128, 0, 127])])
def test_transparency_is_blended_over_the_background(tmp_path, background, expected):
    file = tmp_path / "a.png"
    Image.new("RGBA", (12, 12), (255, 0, 0, 128)).save(file)
    for size in ((12, 12), (5, 5)):
        pixels = read(file, channels=3, size=size, background=background)
        assert pixels.reshape(3, -1).T == pytest.approx(np.tile(expected, (size[0] * size[1], 1)), abs=2)


def test_transparent_pixels_lend_no_colour_to_their_neighbours(tmp_path):
    file = tmp_path / "a.png"
    image = Image.new("RGBA", (16, 16), (0, 255, 0, 0))                 # hidden green
    image.paste((255, 0, 0, 255), (0, 0, 7, 16))
    image.save(file)
    assert read(file, channels=3, size=(4, 4), background="black")[1].max() <= 2


def test_palette_with_transparency(tmp_path):
    for name in ("a.png", "a.gif"):
        file = tmp_path / name
        image = Image.new("P", (8, 8), 0)
        image.putpalette([255, 0, 0, 0, 0, 255] + [0] * 750)
        image.paste(1, (4, 0, 8, 8))
        image.save(file, transparency=1)
        pixels = read(file, channels=3, size=(8, 8), background="lime")
        assert pixels[:, 4, 1].tolist() == list(RED) and pixels[:, 4, 6].tolist() == list(GREEN)
    several = tmp_path / "several.png"
    image.save(several, transparency=b"\x00\xff")                       # an alpha for each entry
    pixels = read(several, channels=3, size=(8, 8), background="lime")
    assert pixels[:, 4, 1].tolist() == list(GREEN) and pixels[:, 4, 6].tolist() == list(BLUE)


def test_a_transparent_colour_key_in_an_rgb_png(tmp_path):
    file = tmp_path / "a.png"
    quadrants(8).save(file, transparency=(255, 0, 0))
    assert corners(read(file, channels=3, size=(8, 8))) == [BLACK, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_the_first_frame_or_page_is_read(tmp_path, suffix):
    file = tmp_path / f"a.{suffix}"
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(file, save_all=True, append_images=frames[1:])
    with Image.open(file) as image:
        assert image.n_frames == 3
    assert set(corners(read(file, channels=3, size=(16, 16)))) == {RED}


@pytest.mark.parametrize("number, expected", [
    (1, [RED, GREEN, BLUE, WHITE]), (2, [GREEN, RED, WHITE, BLUE]), (3, [WHITE, BLUE, GREEN, RED]),
    (4, [BLUE, WHITE, RED, GREEN]), (5, [RED, BLUE, GREEN, WHITE]), (6, [BLUE, RED, WHITE, GREEN]),
    (7, [WHITE, GREEN, BLUE, RED]), (8, [GREEN, WHITE, RED, BLUE])])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_pictures_are_turned_upright(tmp_path, suffix, number, expected):
    file = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = number
    quadrants().resize((64, 48), Image.Resampling.NEAREST).save(file, exif=exif)
    assert corners(read(file, channels=3, size=(32, 32), crop="stretch")) == expected
    if suffix != "png":                             # a PNG's header may come before its EXIF
        assert peek(file)[:2] == ((48, 64) if number >= 5 else (64, 48))


def test_a_damaged_exif_does_not_cost_the_picture(tmp_path):
    file = tmp_path / "a.jpg"
    quadrants().save(file, exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff")
    assert corners(read(file, channels=3, size=(32, 32))) == [RED, GREEN, BLUE, WHITE]


def test_a_large_jpeg_is_shrunk_while_it_is_decoded(tmp_path, monkeypatch):
    file = tmp_path / "a.jpg"
    quadrants(1024).save(file)
    decoded = []
    monkeypatch.setattr(images, "eight_bits", lambda image, grey, real=images.eight_bits:
                        decoded.append(image.size) or real(image, grey))
    assert corners(read(file, channels=3, size=(64, 64))) == [RED, GREEN, BLUE, WHITE]
    assert decoded == [(128, 128)]
