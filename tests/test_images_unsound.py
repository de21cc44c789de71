"""Files that are no pictures, or damaged, too large, out of reach: refused in one line, never anything else."""

import os
import pickle
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from drawn import picture, png, quadrants, refusal
from imaetool import images
from imaetool.images import UnreadableImage, peek, read, read_many


def test_files_that_are_no_pictures(tmp_path):
    text, empty, page = (tmp_path / name for name in ("text.png", "empty.png", "page.jpg"))
    text.write_text("hello, this is a text file")
    empty.touch()
    page.write_text("<!doctype html><title>404</title>")
    assert refusal(text) == refusal(page) == "not an image"
    assert refusal(empty) == "0 bytes"
    assert refusal(tmp_path / "missing.png") == "no such file"
    assert refusal(tmp_path) == "not a regular file"
    heic = tmp_path / "phone.jpg"
    heic.write_bytes(b"\0\0\0\x18ftypheic" + bytes(64))
    assert "HEIC" in refusal(heic)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tif", "bmp", "webp", "ppm"])
@pytest.mark.parametrize("channels", [1, 3])
def test_half_a_file_is_refused(tmp_path, suffix, channels):
    file = tmp_path / f"a.{suffix}"
    picture(64, 64).save(file)
    file.write_bytes(file.read_bytes()[:file.stat().st_size // 2])
    assert refusal(file, channels=channels).startswith("truncated" if suffix in ("png", "jpg", "bmp", "ppm") else "")


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tif", "bmp", "webp", "ppm", "avif"])
def test_damage_anywhere_never_raises_anything_else(tmp_path, suffix):
    file = tmp_path / f"a.{suffix}"
    try:
        picture(24, 24).save(file)
    except (OSError, KeyError, ValueError):
        pytest.skip(f"this Pillow writes no {suffix}")
    sound, random = file.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        data = bytearray(sound)
        for place in random.integers(0, len(data), 4):
            data[place] = random.integers(256)
        file.write_bytes(data[:random.integers(1, len(data) + 1)])
        try:
            pixels = read(file, channels=3, size=(8, 8), max_pixels=1_000_000)
        except UnreadableImage as error:
            assert error.reason and "\n" not in error.reason
        else:
            assert pixels.shape == (3, 8, 8)


def test_formats_off_the_list_are_never_decoded(tmp_path):
    eps, tga = tmp_path / "a.png", tmp_path / "b.png"
    quadrants().save(eps, format="EPS")
    quadrants().save(tga, format="TGA")
    with Image.open(eps) as image:
        assert image.format == "EPS"
    assert refusal(eps) == refusal(tga) == "not an image"


@pytest.mark.parametrize("width, height, reason", [
    (30_000, 30_000, "30000 x 30000 = 900 MP, over the limit of 100 MP"),
    (11_000, 10_000, "11000 x 10000 = 110 MP, over the limit of 100 MP")])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb_is_refused_from_its_header(tmp_path, width, height, reason):
    file = tmp_path / "bomb.png"
    Image.new("L", (1, 1)).save(file)                       # warm up, so that only the refusal is measured
    read(file, channels=3, size=(8, 8))
    file.write_bytes(png(width, height, 8, 2, b"\0"))
    tracemalloc.start()
    try:
        assert refusal(file) == reason
        with pytest.raises(UnreadableImage, match="over the limit"):
            peek(file)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_bomb_is_never_loaded(tmp_path, monkeypatch):
    file = tmp_path / "bomb.png"
    file.write_bytes(png(2000, 2000, 8, 2, b"\0"))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    assert refusal(file, max_pixels=1_000_000) == "2000 x 2000 = 4 MP, over the limit of 1 MP"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")                        # opening it would wait for ever
    assert refusal(tmp_path / "pipe.png") == "not a regular file"
    assert refusal("/dev/zero") == "not a regular file"


def test_permission_and_memory_have_their_reasons(tmp_path, monkeypatch):
    file = tmp_path / "a.png"
    quadrants().save(file)
    for error, reason in ((PermissionError(13, "Permission denied"), "permission denied"),
                          (MemoryError(), "not enough memory"), (zlib.error("bad"), "damaged (bad)"),
                          (EOFError(), "truncated"), (OSError(5, "x"), os.strerror(5).lower())):
        def fail(*_, error=error, **__):
            raise error
        monkeypatch.setattr(images.Image, "open", fail)
        assert refusal(file) == reason


def test_a_wrong_option_is_the_callers_mistake(tmp_path):
    file = tmp_path / "a.png"
    quadrants().save(file)
    for wrong in ({"channels": 2}, {"size": (0, 8)}, {"crop": "fit"}, {"background": "no such colour"}):
        with pytest.raises(ValueError):
            read(file, **{"channels": 3, "size": (8, 8), **wrong})
        with pytest.raises(ValueError):
            read_many([file], **{"channels": 3, "size": (8, 8), **wrong})


def test_an_unreadable_image_shows_one_line_and_survives_pickling():
    error = pickle.loads(pickle.dumps(UnreadableImage("a\nb\udcff.png", "0 bytes")))
    assert str(error) == "a\\nb\\xff.png: 0 bytes"
