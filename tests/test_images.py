"""Real files of every kind, sound and unsound, through `imaetool.images`."""
import os
import pickle
import struct
import subprocess
import sys
import threading
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from imaetool import images
from imaetool.images import UnreadableImage, choose_format, list_images, peek, read, read_many


def picture(width=40, height=30, seed=0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def quadrants(side=64) -> Image.Image:
    """Red, green over blue, white."""
    image = Image.new("RGB", (side, side), "red")
    half = side // 2
    image.paste("lime", (half, 0, side, half))
    image.paste("blue", (0, half, half, side))
    image.paste("white", (half, half, side, side))
    return image


def corners(pixels: np.ndarray) -> list[tuple]:
    """The colours near the four corners, in reading order, rounded to 0 or 255."""
    rounded = np.where(pixels > 127, 255, 0)
    height, width = pixels.shape[1:]
    return [tuple(rounded[:, y, x].tolist()) for y in (height // 8, height - 1 - height // 8)
            for x in (width // 8, width - 1 - width // 8)]


RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def png(width, height, depth, colour, rows: bytes) -> bytes:
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b""))


def refusal(path, **options) -> str:
    with pytest.raises(UnreadableImage) as caught:
        read(path, **{"channels": 3, "size": (8, 8), **options})
    assert caught.value.path == path
    assert "\n" not in str(caught.value)
    return caught.value.reason


# Sound pictures

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


# Modes

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


# Unsound files

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


# Finding

def test_list_images_finds_pictures_at_any_depth_and_sorts_them(tmp_path):
    names = ["b.PNG", "a/z.jpg", "a/b/c/d.JPeG", "été.webp", "a b/x.gif", "new\nline.png", "a-b/y.tiff"]
    for name in names + [".hidden.png", ".cache/x.png", "notes.txt", "png", "a/._z.jpg"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "folder.png" / "inside.bmp").touch()
    found = [file.relative_to(tmp_path).parts for file in list_images(tmp_path)]
    assert found == sorted(tuple(name.split("/")) for name in names + ["folder.png/inside.bmp"])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_not_utf_8(tmp_path):
    name = os.fsencode(tmp_path) + b"/caf\xe9.png"
    Image.new("L", (4, 4), 9).save(os.fsdecode(name), format="PNG")
    [file] = list_images(tmp_path)
    assert os.fsencode(file) == name
    assert read(file, channels=1, size=(4, 4)).max() == 9
    assert images.shown(file).endswith("caf\\xe9.png")


def test_a_new_line_in_the_name_is_read(tmp_path):
    file = tmp_path / "a\nb ü.png"
    quadrants().save(file)
    assert corners(read(file, channels=3, size=(32, 32))) == [RED, GREEN, BLUE, WHITE]


def test_links_are_followed_once(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "b.png").touch()
    root = tmp_path / "real"
    (root / "z").mkdir()
    (root / "z" / "a.png").touch()
    (root / "z" / "loop").symlink_to(root)
    (root / "a-link").symlink_to(root / "z")                # comes first by name, and the real folder still wins
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "self.png").symlink_to(root / "self.png")
    (root / "broken.png").symlink_to(root / "nowhere.png")
    assert [file.relative_to(root).as_posix() for file in list_images(root)] == [
        "broken.png", "out/b.png", "self.png", "z/a.png"]
    assert refusal(root / "broken.png") == "no such file"
    assert refusal(root / "self.png")


def test_a_missing_path_and_a_folder_without_pictures(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file or folder: .*nowhere"):
        list_images(tmp_path / "nowhere")
    (tmp_path / "a.txt").touch()
    with pytest.raises(FileNotFoundError, match="no image found in"):
        list_images(tmp_path)
    assert list_images(tmp_path / "a.txt") == [tmp_path / "a.txt"]      # a file that is named is taken at its word


# Many

def test_read_many_keeps_the_order_and_hands_back_failures(tmp_path):
    files = []
    for i in range(40):
        file = tmp_path / f"{i}.png"
        size = 400 if i % 3 == 0 else 4                     # the slow ones come first
        Image.new("L", (size, size), i).save(file) if i % 5 else file.write_text("text")
        files.append(file)
    for workers in (1, 3, None):
        results = list(read_many(files, workers=workers, channels=1, size=(4, 4)))
        assert [path for path, _ in results] == files
        for i, (path, result) in enumerate(results):
            if i % 5:
                assert np.unique(result).tolist() == [i]
            else:
                assert isinstance(result, UnreadableImage) and result.path == path
                assert result.__traceback__ is None and result.__context__ is None


def test_read_many_takes_no_more_paths_than_its_window(tmp_path):
    file = tmp_path / "a.png"
    quadrants().save(file)
    taken = []

    def paths():
        for i in range(1000):
            taken.append(i)
            yield file

    results = read_many(paths(), workers=2, channels=1, size=(4, 4))
    assert taken == []
    next(results)
    assert len(taken) == 8
    next(results)
    assert len(taken) == 9
    threads = threading.active_count()
    results.close()
    assert len(taken) == 9 and threading.active_count() == threads - 2


def test_huge_pictures_are_decoded_one_at_a_time(tmp_path, monkeypatch):
    save_all(tmp_path, 6, lambda i: picture(60, 60))
    picture(20, 20).save(tmp_path / "small.png")
    held = []
    monkeypatch.setattr(images, "_BIG", 1000)
    monkeypatch.setattr(images, "eight_bits", lambda image, grey, real=images.eight_bits:
                        held.append((image.width, images._one_big.locked())) or real(image, grey))
    list(read_many(list_images(tmp_path), workers=1, channels=1, size=(4, 4)))
    assert held == [(60, True)] * 6 + [(20, False)]


# Choosing

def save_all(folder, count, draw):
    for i in range(count):
        draw(i).save(folder / f"{i:03}.png")
    return list_images(folder)


def test_choose_format_takes_the_one_small_square_size(tmp_path):
    paths = save_all(tmp_path, 5, lambda i: Image.new("L", (28, 28), i))
    size, channels, reason = choose_format(paths)
    assert (size, channels) == (28, 1)
    assert "28 x 28" in reason and "grey" in reason and "5 images" in reason


@pytest.mark.parametrize("shape, expected", [((100, 80), 64), ((200, 47), 32), ((65, 65), 64), ((40, 40), 40)])
def test_choose_format_goes_by_the_short_side(tmp_path, shape, expected):
    paths = save_all(tmp_path, 3, lambda i: picture(*shape, seed=i))
    assert choose_format(paths)[:2] == (expected, 3)


def test_grey_pictures_saved_as_colour_are_grey(tmp_path):
    paths = save_all(tmp_path, 6, lambda i: picture(40, 40, seed=i).convert("L").convert("RGB"))
    assert choose_format(paths)[1] == 1
    picture(40, 40).save(tmp_path / "x.png")
    assert choose_format(list_images(tmp_path))[1] == 3


def test_choose_format_looks_past_unreadable_files_at_no_more_than_the_sample(tmp_path, monkeypatch):
    paths = save_all(tmp_path, 12, lambda i: Image.new("L", (32, 32)))
    for path in paths[:6]:
        path.write_text("text")
    assert "of 6 images" in choose_format(paths)[2]
    assert "of 3 images" in choose_format(paths, sample=3)[2]
    with pytest.raises(ValueError, match="none of the 6 images can be read; the first: .*not an image"):
        choose_format(paths[:6])


def test_importing_images_imports_no_torch():
    code = "import sys, imaetool.images, imaetool.pictures, imaetool.data.folder; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
