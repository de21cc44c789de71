"""The files of dSprites: the cache that is drawn once, and the official archive, read without its pickle."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from imaetool.data import dsprites


# --- the cache


@pytest.fixture
def small(monkeypatch):
    """The dataset cut to its first three blocks, so that a cache costs 1.5 MB."""
    monkeypatch.setattr(dsprites, "COUNT", 3 * 1024)


def test_the_packed_file_is_made_once(small, tmp_path):
    drawn = []
    first = dsprites.open_packed(tmp_path, lambda done, total: drawn.append(done))
    again = dsprites.open_packed(tmp_path, lambda done, total: drawn.append(done))
    assert drawn == [1024, 2048, 3072]
    assert first.shape == (3072, 512) and isinstance(first, np.memmap) and not first.flags.writeable
    assert np.array_equal(first, again) and np.array_equal(first, dsprites.render_packed())
    assert [path.name for path in tmp_path.iterdir()] == [dsprites.packed_path(tmp_path).name]


def test_a_file_of_the_wrong_size_is_drawn_again(small, tmp_path):
    dsprites.packed_path(tmp_path).write_bytes(b"half a file")
    assert np.array_equal(dsprites.open_packed(tmp_path), dsprites.render_packed())


def test_an_interrupted_drawing_leaves_nothing(small, tmp_path):
    def interrupt(done, total):
        if done == 2048:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dsprites.open_packed(tmp_path / "new", interrupt)
    assert list((tmp_path / "new").iterdir()) == []


def test_processes_at_once_are_harmless(tmp_path):
    code = "import sys; from imaetool.data import dsprites as d; d.COUNT = 64 * 1024"
    code += "; p = d.open_packed(sys.argv[1]); sys.exit(int(p.sum()) % 251 != int(sys.argv[2]))"
    total = sum(int(rows.sum()) for rows, _ in zip(dsprites._blocks(), range(64), strict=False))
    command = [sys.executable, "-c", code, str(tmp_path), str(total % 251)]
    root = Path(__file__).parents[1]
    running = [subprocess.Popen(command, cwd=root) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert len(list(tmp_path.iterdir())) == 1


def test_where_the_cache_lies(monkeypatch, tmp_path):
    for name in ("IMAETOOL_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    if os.name == "posix":
        assert dsprites.packed_path().parent == tmp_path / "home/.cache/imaetool"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert dsprites.packed_path().parent == tmp_path / "xdg/imaetool"
    monkeypatch.setenv("IMAETOOL_CACHE", str(tmp_path / "own"))
    assert dsprites.packed_path().parent == tmp_path / "own"
    assert dsprites.packed_path(tmp_path).parent == tmp_path
    assert list(tmp_path.iterdir()) == []


# --- the official file


class Bomb:
    """Unpickling this ends the test run."""

    def __reduce__(self):
        return os._exit, (66,)


def write_official(path, **changes):
    """A file of the official layout, cut to COUNT images; None leaves a member out."""
    indices = np.arange(dsprites.COUNT)
    members = {
        "metadata": np.array(Bomb(), dtype=object),
        "imgs": dsprites.render(indices),
        "latents_classes": np.pad(dsprites.factor_indices(indices), ((0, 0), (1, 0))),
        "latents_values": dsprites.factor_values(indices),
    } | changes
    np.savez_compressed(path, **{name: a for name, a in members.items() if a is not None})


def test_official_file_is_read_and_its_pickle_is_not(small, tmp_path):
    write_official(tmp_path / dsprites.OFFICIAL_NAME)
    packed, factors = dsprites.official_npz(tmp_path / dsprites.OFFICIAL_NAME)
    assert np.array_equal(packed, dsprites.render_packed())
    assert np.array_equal(factors, dsprites.factor_indices(np.arange(dsprites.COUNT)))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"imgs": None}, "imgs"),
        ({"imgs": np.zeros((9, 64, 64), np.uint8)}, "imgs is"),
        ({"imgs": np.zeros((3072, 64, 64))}, "imgs is"),
        ({"imgs": np.full((3072, 64, 64), 255, np.uint8)}, "other than 0 and 1"),
        ({"imgs": np.full(3, Bomb(), dtype=object)}, "imgs is"),
        ({"latents_classes": np.zeros((3072, 6), np.int64)}, "order of the dataset"),
        ({"latents_classes": np.zeros((3072, 5), np.int64)}, "latents_classes is"),
    ],
)
def test_other_files_are_refused(small, tmp_path, changes, message):
    write_official(tmp_path / "other.npz", **changes)
    with pytest.raises(ValueError, match=message):
        dsprites.official_npz(tmp_path / "other.npz")


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "page.npz").write_text("<html>404</html>")
    with pytest.raises(ValueError, match="not the official dSprites file"):
        dsprites.official_npz(tmp_path / "page.npz")
    with pytest.raises(FileNotFoundError):
        dsprites.official_npz(tmp_path / "absent.npz")


def test_source_names_what_is_used(tmp_path):
    assert dsprites.source(tmp_path) == "rendered"
    (tmp_path / dsprites.OFFICIAL_NAME).touch()
    assert dsprites.source(tmp_path) == "official npz"
    (tmp_path / "dsprites").mkdir()
    (tmp_path / dsprites.OFFICIAL_NAME).rename(tmp_path / "dsprites" / dsprites.OFFICIAL_NAME)
    assert dsprites.source(tmp_path) == "official npz"
