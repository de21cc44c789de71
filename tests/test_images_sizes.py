"""Sound pictures in the size, the crop and the channels asked for, through `imaetool.images`."""

import numpy as np
import pytest
from PIL import Image

from drawn import BLUE, GREEN, RED, corners, picture
from imaetool import images
from imaetool.images import read


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm", "webp"])
def test_a_lossless_picture_of_the_right_size_comes_back_as_it_was(tmp_path, suffix):
    file = tmp_path / f"a.{suffix}"
    original = picture(20, 20)
    original.save(file, **({"lossless": True} if suffix == "webp" else {}))
    pixels = read(file, channels=3, size=(20, 20))
    assert pixels.dtype == np.uint8 and pixels.flags.c_contiguous and pixels.flags.writeable
    np.testing.assert_array_equal(pixels, np.asarray(original).transpose(2, 0, 1))


@pytest.mark.parametrize("crop", images.CROPS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(40, 30), (30, 40), (1, 200), (7, 7), (300, 200)])
def test_the_shape_is_the_one_asked_for(tmp_path, crop, channels, shape):
    file = tmp_path / "a.png"
    picture(*shape).save(file)
    assert read(file, channels=channels, size=(24, 16), crop=crop).shape == (channels, 24, 16)


def test_center_keeps_the_middle_pad_adds_background_stretch_keeps_all(tmp_path):
    file = tmp_path / "wide.png"
    wide = Image.new("RGB", (60, 20), "red")
    wide.paste("lime", (20, 0, 40, 20))
    wide.save(file)
    assert set(corners(read(file, channels=3, size=(20, 20)))) == {GREEN}
    padded = read(file, channels=3, size=(30, 30), crop="pad", background="blue")
    assert set(corners(padded)) == {BLUE}
    assert (padded[0, 15, 2], padded[1, 15, 15]) == (255, 255)
    stretched = read(file, channels=3, size=(30, 30), crop="stretch")
    assert set(corners(stretched)) == {RED} and stretched[1, 15, 15] == 255


def test_an_odd_margin_moves_the_crop_and_never_blurs_it(tmp_path):
    file = tmp_path / "a.png"
    original = picture(33, 32)
    original.save(file)
    np.testing.assert_array_equal(read(file, channels=3, size=(32, 32)),
                                  np.asarray(original)[:, :32].transpose(2, 0, 1))


def test_shrinking_averages_instead_of_skipping_pixels(tmp_path):
    file = tmp_path / "stripes.png"
    stripes = np.zeros((256, 256), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(file)
    pixels = read(file, channels=1, size=(16, 16)).astype(int)
    assert abs(pixels - 128).max() <= 8


def test_invert_is_the_last_step(tmp_path):
    file = tmp_path / "a.png"
    Image.new("L", (40, 10), 200).save(file)
    pixels = read(file, channels=1, size=(10, 10), crop="pad", background="white", invert=True)
    assert pixels[0, 0, 0] == 0 and pixels[0, 5, 5] == 55
