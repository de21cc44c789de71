"""A folder of pictures becomes arrays, once."""
import json
import os

import numpy as np
import pytest
from PIL import Image

from imaetool.data import decoding, entries
from imaetool.data.folder import load_folder, split_by_content
from imaetool.data.paths import cache_dir


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAETOOL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "folders"


@pytest.fixture
def decoded(monkeypatch):
    """The files that were really decoded."""
    files = []

    def record(path, **options):
        files.append(path)
        return real(path, **options)
    real = decoding.picture
    monkeypatch.setattr(decoding, "picture", record)
    return files


def fill(root, names, size=(32, 32), mode="L"):
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, i if mode == "L" else (i, 0, 255)).save(root / name)
    return root


@pytest.fixture
def pictures(tmp_path):
    return fill(tmp_path / "pictures", ["b/1.png", "b/2.png", "a/3.png", "a/4.png", "a/5.png"])


def test_pictures_paths_labels_and_the_choice(pictures):
    found = load_folder(pictures)
    assert found.images.shape == (5, 1, 32, 32) and found.images.dtype == np.uint8
    assert found.paths == ("a/3.png", "a/4.png", "a/5.png", "b/1.png", "b/2.png")
    assert found.images[:, 0, 7, 9].tolist() == [2, 3, 4, 0, 1]
    assert found.labels.tolist() == [0, 0, 0, 1, 1] and found.label_names == ("a", "b")
    assert "32 x 32" in found.chosen and found.note == "" and found.unreadable == ()


def test_size_channels_and_the_other_options_reach_the_pictures(tmp_path):
    root = fill(tmp_path / "wide", ["1.png"], size=(40, 20), mode="RGB")
    found = load_folder(root, size=16, channels=3, crop="pad", background="white", invert=True)
    assert found.images.shape == (1, 3, 16, 16) and found.chosen == ""
    assert found.images[0, :, 0, 0].tolist() == [0, 0, 0] and found.images[0, :, 8, 8].tolist() == [255, 255, 0]
    assert load_folder(root, size=(8, 12), channels=1).images.shape == (1, 1, 8, 12)
    only = load_folder(root / "1.png", size=8)
    assert only.paths == ("1.png",) and only.images.shape == (1, 3, 8, 8) and only.chosen


@pytest.mark.parametrize("names", [
    ["1.png", "2.png", "3.png"],                                        # no sub-folder
    ["a/1.png", "a/2.png", "b/1.png", "b/2.png", "1.png"],              # one outside
    ["a/1.png", "a/2.png", "b/c/1.png", "b/c/2.png"],                   # two levels
    ["a/1.png", "a/2.png"],                                             # one class
    ["a/1.png", "b/1.png", "c/1.png", "c/2.png"]])                      # too few in each
def test_folders_that_are_no_classes(tmp_path, names):
    found = load_folder(fill(tmp_path / "x", names))
    assert found.labels is None and found.label_names == ()


def test_unreadable_files_are_left_out_and_named_every_time(pictures, decoded):
    (pictures / "a" / "4.png").write_text("text")
    (pictures / "b" / "0.jpg").touch()
    for _ in range(2):
        found = load_folder(pictures)
        assert found.unreadable == (("a/4.png", "not an image"), ("b/0.jpg", "0 bytes"))
        assert found.paths == ("a/3.png", "a/5.png", "b/1.png", "b/2.png")
        assert found.images[:, 0, 0, 0].tolist() == [2, 4, 0, 1] and found.labels.tolist() == [0, 0, 1, 1]
    assert len(decoded) == 6


def test_the_second_run_decodes_nothing(pictures, decoded):
    calls = []
    first = load_folder(pictures, progress=lambda *call: calls.append(call))
    assert calls == [(i, 5) for i in range(1, 6)] and len(decoded) == 5
    second = load_folder(pictures, progress=lambda *call: calls.append(call))
    assert len(calls) == len(decoded) == 5
    assert isinstance(second.images, np.memmap)
    np.testing.assert_array_equal(first.images, second.images)
    assert (first.paths, first.chosen, first.unreadable) == (second.paths, second.chosen, second.unreadable)


@pytest.mark.parametrize("change", ["add", "remove", "touch", "rename", "rewrite"])
def test_a_change_decodes_again_and_drops_the_stale_entry(pictures, cache, decoded, change):
    load_folder(pictures)
    file = pictures / "a" / "3.png"
    if change == "add":
        fill(pictures, ["a/9.png"])
    elif change == "remove":
        file.unlink()
    elif change == "touch":
        os.utime(file, ns=(1, 1))
    elif change == "rename":
        file.rename(file.with_name("8.png"))
    else:
        Image.new("L", (32, 32), 77).save(file, pnginfo=None, compress_level=0)
    decoded.clear()
    found = load_folder(pictures)
    assert len(decoded) == len(found.paths) == {"add": 6, "remove": 4}.get(change, 5)
    assert len(os.listdir(cache)) == 1


def test_each_set_of_options_has_its_own_entry(pictures, cache, decoded):
    for options in ({}, {"size": 16}, {"channels": 3}, {"invert": True}, {"crop": "pad"}, {"background": "white"}):
        decoded.clear()
        load_folder(pictures, **options)
        assert len(decoded) == 5
    assert len(os.listdir(cache)) == 6
    decoded.clear()
    load_folder(pictures, size=(16, 16))
    assert decoded == []


def test_writing_to_the_images_leaves_the_cache_alone(pictures):
    load_folder(pictures).images[:] = 99
    assert load_folder(pictures).images.max() == 4


@pytest.mark.parametrize("damage", ["short", "long", "facts", "missing"])
def test_a_damaged_entry_is_made_again(pictures, cache, decoded, damage):
    load_folder(pictures)
    [entry] = cache.iterdir()
    if damage in ("short", "long"):
        (entry / "pixels").write_bytes(b"x" if damage == "short" else bytes(9999))
    elif damage == "facts":
        (entry / "facts.json").write_text("{")
    else:
        (entry / "facts.json").unlink()
    decoded.clear()
    assert load_folder(pictures).images[:, 0, 0, 0].tolist() == [2, 3, 4, 0, 1]
    assert len(decoded) == 5
    assert json.loads((entry / "facts.json").read_text())["shape"] == [5, 1, 32, 32]


def test_an_interrupted_run_leaves_nothing_and_old_leftovers_go(pictures, cache):
    def interrupt(done, total):
        if done == 3:
            raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        load_folder(pictures, progress=interrupt)
    assert os.listdir(cache) == []
    for name in ("old.tmp", "young.tmp"):
        (cache / name).mkdir()
    os.utime(cache / "old.tmp", (1, 1))
    load_folder(pictures)
    assert not (cache / "old.tmp").exists() and (cache / "young.tmp").exists()


def test_without_a_usable_cache_the_pictures_are_decoded_in_memory(pictures, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("IMAETOOL_CACHE", str(tmp_path / "file"))
    found = load_folder(pictures)
    assert "cannot be used" in found.note and "\n" not in found.note
    assert found.images[:, 0, 0, 0].tolist() == [2, 3, 4, 0, 1]
    found.images[0] = 5


def test_a_full_disk_ends_in_memory_too(pictures, cache, monkeypatch):
    class Full:
        def __init__(self, *_): open(*_).close()
        def __enter__(self): return self
        def __exit__(self, *_): pass
        def write(self, _): raise OSError(28, "No space left on device")
    monkeypatch.setattr(entries, "open", Full, raising=False)
    found = load_folder(pictures)
    assert "No space left on device" in found.note and len(found.images) == 5
    assert os.listdir(cache) == []


def test_where_the_cache_is(monkeypatch, tmp_path):
    assert cache_dir() == tmp_path / "cache"
    monkeypatch.delenv("IMAETOOL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg" / "imaetool"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache" / "imaetool"


def test_names_of_any_bytes(tmp_path, decoded):
    root = fill(tmp_path / "x", ["new\nline.png", "ü.png"])
    try:
        Image.new("L", (32, 32), 9).save(os.fsdecode(os.fsencode(root) + b"/\xe9.png"), format="PNG")
    except OSError:
        pytest.skip("this file system refuses such names")
    first, second = load_folder(root), load_folder(root)
    assert first.paths == second.paths == ("new\nline.png", "ü.png", "\udce9.png") and len(decoded) == 3


def test_errors_are_one_line(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        load_folder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no image found"):
        load_folder(tmp_path / "empty")
    (tmp_path / "empty" / "a\nb.png").write_text("text")
    for options in ({}, {"size": 8, "channels": 1}):
        with pytest.raises(ValueError, match="^none of the 1 images .*can be read.*not an image$"):
            load_folder(tmp_path / "empty", **options)
    with pytest.raises(ValueError, match="crop"):
        load_folder(tmp_path / "empty", crop="fit")


# Splitting

def test_the_split_is_stable_and_keeps_duplicates_together():
    images = np.random.default_rng(0).integers(0, 256, (2000, 1, 4, 4), dtype=np.uint8)
    is_test = split_by_content(images)
    assert is_test.dtype == bool and 150 < is_test.sum() < 250
    order = np.random.default_rng(1).permutation(2000)
    np.testing.assert_array_equal(split_by_content(images[order]), is_test[order])
    np.testing.assert_array_equal(split_by_content(images[:300]), is_test[:300])
    np.testing.assert_array_equal(split_by_content(np.concatenate([images, images]))[2000:], is_test)


def test_the_split_follows_its_seed_and_fraction():
    images = np.random.default_rng(0).integers(0, 256, (1000, 1, 4, 4), dtype=np.uint8)
    assert not np.array_equal(split_by_content(images, seed=1), split_by_content(images))
    small, large = split_by_content(images, 0.1), split_by_content(images, 0.4)
    assert 350 < large.sum() < 450 and not (small & ~large).any()
    assert not split_by_content(images, 0).any() and split_by_content(images, 1).all()
    with pytest.raises(ValueError):
        split_by_content(images, 1.5)
    assert split_by_content(images[:0]).shape == (0,)
