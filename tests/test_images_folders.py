"""Pictures by the folder: which are found, how they are read in order, and the format that suits them."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from drawn import BLUE, GREEN, RED, WHITE, corners, picture, quadrants, refusal
from imaetool import images
from imaetool.images import UnreadableImage, choose_format, list_images, read, read_many


def save_all(folder, count, draw):
    for i in range(count):
        draw(i).save(folder / f"{i:03}.png")
    return list_images(folder)


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


@pytest.mark.parametrize("name", ["a.heic", "b.JP2", "c.jxl"])
def test_pictures_of_formats_that_are_not_read_are_found_and_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(64))
    [file] = list_images(tmp_path)
    assert refusal(file) == f"{name[2:].upper()}, which is not supported: convert it to JPEG"


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
