"""One's own images from the command line: labels, factors, archives, bad files, and the data commands."""

import io
import json
import os
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from imaetool.config import Data
from imaetool.data import open_data
from imaetool.errors import UserError


@pytest.fixture
def environment(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAETOOL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("IMAETOOL_OFFLINE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("IMAETOOL_DATA", raising=False)


pytestmark = pytest.mark.usefixtures("environment")


def imaetool(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "imaetool", *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=300
    )


def pictures(root, names, size=(32, 32)):
    rng = np.random.default_rng(0)
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(root / name)
    return root


NAMES = [f"{kind}/{number}.png" for kind in ("cat", "dog") for number in range(20)]


def encoded(kind, mode="RGB", size=(40, 40), **options):
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)).convert(mode).save(out, kind, **options)
    return out.getvalue()


def huge_png():
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)) + chunk(b"IEND", b"")


def float_tiff():
    out = io.BytesIO()
    Image.fromarray(np.full((8, 8), 7.5, np.float32)).save(out, "TIFF")
    return out.getvalue()


def make_bad(root):
    """Twelve files of twelve kinds of badness; their names."""
    png, jpeg = encoded("PNG"), encoded("JPEG")
    contents = {
        "empty.jpg": b"", "text.png": b"not a picture", "page.jpg": b"<html>404 Not Found</html>",
        "cut.jpg": jpeg[:300], "cut.png": png[: len(png) // 2], "noise.png": os.urandom(2000),
        "crc.png": png[:60] + bytes([png[60] ^ 255]) + png[61:], "zip.jpg": b"PK\x03\x04" + bytes(100),
        "photo.jpg": b"\0\0\0\x18ftypheic" + bytes(200), "bomb.png": huge_png(), "deep.tif": float_tiff(),
    }  # fmt: skip
    for name, content in contents.items():
        (root / name).write_bytes(content)
    os.symlink(root / "nowhere", root / "broken.png")
    return [*contents, "broken.png"]


def test_a_folder_with_bad_files_trains_and_names_each_once(tmp_path):
    root = pictures(tmp_path / "x", [f"{n:03}.png" for n in range(228)])
    bad = make_bad(root)
    assert len(bad) == 12 and len(bad) / 240 == 0.05
    done = imaetool("train", "--data", root, "--epochs", 1, "--size", 16, "--channels", 1, "--batch-size", 32, "--device", "cpu",
                    "--network", "mlp-imae", "-o", tmp_path / "run", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("left out ")]
    assert sorted(line.split()[2].rstrip(":") for line in said) == sorted(bad)
    assert all(len(line.split(": ", 1)[1]) > 3 for line in said)
    done = imaetool("data", "verify", root, cwd=tmp_path)
    assert done.returncode == 1 and "12 of 240 images" in done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines()] == sorted(bad)
    done = imaetool("data", "info", root, "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["unreadable"] == 12


def test_labels_from_folders_and_splits_that_read_the_map(tmp_path):
    data = open_data(Data(name="folder", root=str(pictures(tmp_path / "x", NAMES))))
    assert data.label_names == ("cat", "dog") and data.train.images.stored is data.test.images.stored
    assert isinstance(data.train.images.stored, np.memmap)
    assert len(data.train) + len(data.test) == 40
    paths = sorted(NAMES)
    whole = np.concatenate([data.train.labels, data.test.labels])
    assert np.bincount(whole).tolist() == [20, 20] and len(paths) == 40


def test_tables_win_over_folders(tmp_path):
    root = pictures(tmp_path / "x", NAMES)
    (tmp_path / "labels.csv").write_text("\n".join(f"{name},{'odd' if n % 2 else 'even'}" for n, name in enumerate(NAMES)))
    (tmp_path / "factors.csv").write_text("path,angle\n" + "\n".join(f"{name},{n % 4 * 90}" for n, name in enumerate(NAMES)))
    config = Data(name="folder", root=str(root), labels=str(tmp_path / "labels.csv"), factors=str(tmp_path / "factors.csv"))
    data = open_data(config)
    assert data.label_names == ("even", "odd") and data.factor_names == ("angle",) and data.factor_sizes == (4,)
    assert set(data.values("train")[0].tolist()) == {0, 90, 180, 270}
    (tmp_path / "labels.csv").write_text("1.png,a")
    with pytest.raises(UserError, match="no line for 40 of 40"):
        open_data(config)


def test_the_split_stays_when_images_are_added(tmp_path):
    root = pictures(tmp_path / "x", [f"{n}.png" for n in range(60)])
    before = open_data(Data(name="folder", root=str(root)))
    pictures(root, [f"new/{n}.png" for n in range(3)], (31, 33))
    after = open_data(Data(name="folder", root=str(root), size=32))
    old = {image.tobytes() for image in before.test.images[:]}
    assert old and old <= {image.tobytes() for image in after.test.images[:]}


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_an_archive_is_read_where_it_lies(tmp_path, suffix):
    pictures(tmp_path / "photos", NAMES)
    path = tmp_path / f"photos{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w") as out:
            for name in NAMES:
                out.write(tmp_path / "photos" / name, f"photos/{name}")
            out.writestr("__MACOSX/photos/._0.png", b"x")
    else:
        with tarfile.open(path, "w") as out:
            out.add(tmp_path / "photos", arcname="photos")
    folder = open_data(Data(name="folder", root=str(tmp_path / "photos")))
    for _ in range(2):
        data = open_data(Data(name="folder", root=str(path)))
        assert data.label_names == ("cat", "dog") and len(data.train) == len(folder.train)
        assert sorted(i.tobytes() for i in data.test.images[:]) == sorted(i.tobytes() for i in folder.test.images[:])


def test_archives_without_pictures_or_with_bad_paths(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as out:
        out.writestr("a.txt", "x")
    with pytest.raises(UserError, match=r"no image found in .*x\.zip"):
        open_data(Data(name="folder", root=str(tmp_path / "x.zip")))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as out:
        out.writestr("../a.png", encoded("PNG"))
    with pytest.raises(UserError, match="leaves the folder"):
        open_data(Data(name="folder", root=str(tmp_path / "x.zip")))
    assert not list((tmp_path / "cache" / "folders").iterdir())


# --- the commands


def test_list_names_every_dataset_and_its_state(tmp_path):
    done = imaetool("data", "list", cwd=tmp_path)
    assert done.returncode == 0
    lines = dict(line.split(None, 1) for line in done.stdout.splitlines())
    assert set(lines) == {"digits", "mnist", "fashion-mnist", "cifar10", "cifar100", "dsprites", "celeba", "chairs", "folder"}
    assert "bundled" in lines["digits"] and "absent" in lines["mnist"] and "rendered" in lines["dsprites"]
    rows = json.loads(imaetool("data", "list", "--json", cwd=tmp_path).stdout)
    assert {row["name"] for row in rows} == set(lines) and all("state" in row for row in rows)


def test_info_prints_what_is_declared(tmp_path):
    done = imaetool("data", "info", "cifar10", cwd=tmp_path)
    for word in ("airplane", "official", "licence", "170,052,171 bytes", "sha256 c4a38c50", "absent"):
        assert word in done.stdout
    assert "did you mean 'mnist'" in imaetool("data", "info", "nist", cwd=tmp_path).stderr


def test_fetch_and_verify_say_what_is_wrong_in_one_line(tmp_path):
    done = imaetool("data", "fetch", "cifar100", "--data-root", tmp_path / "root", cwd=tmp_path)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and "put cifar-100-binary.tar.gz at" in done.stderr
    done = imaetool("data", "fetch", "celeba", cwd=tmp_path)
    assert "non-commercial research" in done.stderr
    assert "nothing to fetch" in imaetool("data", "fetch", "digits", cwd=tmp_path).stderr
    raw = tmp_path / "root" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte").write_bytes(b"wrong")
    done = imaetool("data", "verify", "mnist", "--data-root", tmp_path / "root", cwd=tmp_path)
    assert done.returncode == 1 and "wrong" in done.stdout and "remove them" in done.stderr


@pytest.mark.parametrize("arguments, message", [
    (["--data", "nowhere/"], "no such folder"), (["--data", "mnits"], "did you mean 'mnist'"),
    (["--data", "folder"], "no folder given"),
])  # fmt: skip
def test_mistakes_in_the_name(tmp_path, arguments, message):
    done = imaetool("train", *arguments, cwd=tmp_path)
    assert done.returncode == 1 and message in done.stderr and len(done.stderr.splitlines()) == 1
