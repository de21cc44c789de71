"""Every dataset through its own files, generated or real."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imaetool.config import Data
from imaetool.data import celeba, chairs, dsprites, open_data
from imaetool.data.catalogue import DATASETS, find
from imaetool.data.cifar import read_binary
from imaetool.errors import UserError
from imaetool.registry import DATASETS as REGISTERED

REAL = Path(__file__).parents[2] / "shared" / "data"
real = pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data is not beside the checkout")


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """A cache of its own and no network."""
    monkeypatch.setenv("IMAETOOL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("IMAETOOL_OFFLINE", "1")
    monkeypatch.delenv("IMAETOOL_DATA", raising=False)


def opened(name, root, **settings):
    return open_data(Data(name=name, root=str(root), **settings))


def test_the_catalogue_and_the_registry_name_the_same_datasets():
    assert set(DATASETS) == set(REGISTERED)
    for entry in DATASETS.values():
        assert entry.licence and entry.split and entry.title
        assert entry.places or entry.made
        assert all(file.urls for file in entry.files)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "cifar100", "celeba", "chairs"])
def test_absent_and_offline_says_what_to_put_where(tmp_path, name):
    with pytest.raises(UserError, match="put ") as error:
        opened(name, tmp_path)
    assert "\n" not in str(error.value) and str(tmp_path) in str(error.value)


# --- MNIST


def write_idx(raw, name, array, kind=8):
    raw.mkdir(parents=True, exist_ok=True)
    header = bytes([0, 0, kind, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    (raw / name).write_bytes(header + array.astype(np.uint8).tobytes())


@pytest.mark.parametrize("damage", ["short", "empty", "text", "labels"])
def test_damaged_idx_files_are_one_line(tmp_path, damage):
    raw = tmp_path / "MNIST" / "raw"
    for part in ("train", "t10k"):
        write_idx(raw, f"{part}-images-idx3-ubyte", np.zeros((4, 28, 28)))
        write_idx(raw, f"{part}-labels-idx1-ubyte", np.zeros(4))
    file = raw / "train-images-idx3-ubyte"
    if damage != "labels":
        file.write_bytes({"short": file.read_bytes()[:-9], "empty": b"", "text": b"<html>404"}[damage])
    with pytest.raises(UserError, match="train files in .*(cannot be read|are not 60,000)") as error:
        opened("mnist", tmp_path)
    assert "\n" not in str(error.value)


@real
@pytest.mark.parametrize("name, first", [("mnist", [5, 0, 4]), ("fashion-mnist", [9, 0, 0])])
def test_real_idx_files_are_used_as_they_are(name, first):
    data = opened(name, REAL)
    assert (len(data.train), len(data.test), data.shape) == (60_000, 10_000, (1, 28, 28))
    assert data.train.labels[:3].tolist() == first and len(data.label_names) == 10
    assert np.array_equal(opened(name, REAL, invert=True).test.images, 255 - data.test.images)
    with pytest.raises(UserError, match="MIG needs ground-truth factors, and .*mnist has none"):
        data.factors("test", "MIG")


# --- CIFAR


def write_cifar(folder, name, labels_bytes, count, classes):
    rng = np.random.default_rng(0)
    records = rng.integers(0, 256, (count, labels_bytes + 3072), dtype=np.uint8)
    records[:, :labels_bytes] = rng.integers(0, classes, (count, labels_bytes))
    folder.mkdir(parents=True, exist_ok=True)
    records.tofile(folder / name)
    return records


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name, folder, files, labels_bytes, classes", [
    ("cifar10", "cifar-10-batches-bin", [*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"], 1, 10),
    ("cifar100", "cifar-100-binary", ["train.bin", "test.bin"], 2, 100),
])  # fmt: skip
def test_cifar_binary(tmp_path, name, folder, files, labels_bytes, classes, packed):
    records = [write_cifar(tmp_path / folder, file, labels_bytes, 7, classes) for file in files]
    (tmp_path / folder / "fine_label_names.txt").write_text("\n".join(f"kind{n}" for n in range(100)))
    if packed:
        archive = "cifar-10-binary.tar.gz" if name == "cifar10" else "cifar-100-binary.tar.gz"
        with tarfile.open(tmp_path / archive, "w:gz") as out:
            out.add(tmp_path / folder, arcname=folder)
        (tmp_path / folder).rename(tmp_path / "away")
    data = opened(name, tmp_path)
    assert data.shape == (3, 32, 32) and len(data.train) == 7 * (len(files) - 1) and len(data.test) == 7
    assert np.array_equal(data.test.images.reshape(7, -1), records[-1][:, labels_bytes:])
    assert np.array_equal(data.test.labels, records[-1][:, labels_bytes - 1])
    assert data.source.startswith("official binary version") and data.label_names[3] == ("cat" if name == "cifar10" else "kind3")


def test_other_bytes_are_no_cifar(tmp_path):
    (tmp_path / "x").write_bytes(bytes(3072))
    with pytest.raises(UserError, match="no multiple of 3,073"):
        read_binary(tmp_path / "x", 1, 10)
    (tmp_path / "x").write_bytes(b"\xff" * 3073)
    with pytest.raises(UserError, match="label 255, over 9"):
        read_binary(tmp_path / "x", 1, 10)


def pictures(root, names, size=(32, 32)):
    rng = np.random.default_rng(0)
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)).save(root / name)
    return root


def tarred(folder, archive):
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w") as out:
        for child in sorted(folder.iterdir()):
            out.add(child, arcname=child.name)
    return archive


def test_cifar_from_jpegs_says_that_it_is_lossy(tmp_path):
    names = [f"{side}/{kind}/000{n}.jpg" for side in ("train", "test") for kind in ("dog", "airplane") for n in range(3)]
    tarred(pictures(tmp_path / "x", names), tmp_path / "root/cifar10-jpeg/cifar10_jpeg.tar")
    data = opened("cifar10", tmp_path / "root")
    assert len(data.train) == len(data.test) == 6 and sorted(data.test.labels.tolist()) == [0, 0, 0, 5, 5, 5]
    assert data.source.startswith("JPEG, slightly lossy") and "slightly lossy" in data.notes[-1]
    assert list((tmp_path / "cache" / "folders").iterdir()) and not list((tmp_path / "cache" / "folders").glob("*.tmp"))


# --- CelebA


@pytest.mark.parametrize("size", [(178, 218), (89, 109)])
def test_celeba_is_cut_in_the_middle(tmp_path, size):
    width, height = size
    side, pixels = round(148 / 178 * width), np.zeros((height, width, 3), np.uint8)
    top, left = (height - side + 1) // 2, (width - side + 1) // 2
    pixels[top : top + side, left : left + side] = 255
    folder = tmp_path / "img_align_celeba"
    folder.mkdir()
    for number in range(1, 30):
        Image.fromarray(pixels).save(folder / f"{number:06}.png")
    data = opened("celeba", tmp_path)
    assert data.shape == (3, 64, 64) and data.train.images[:].min() == 255
    assert any("licence" in note for note in data.notes)
    assert not any("licence" in note for note in opened("celeba", tmp_path).notes)
    assert opened("celeba", tmp_path, crop="stretch", size=32).train.images[:].min() == 0


def test_celeba_official_split_and_attributes(tmp_path):
    numbers = [1, 2, 162_770, 162_771, 182_637, 182_638, 202_599]
    pictures(tmp_path / "celeba" / "img_align_celeba", [f"{n:06}.jpg" for n in numbers], (178, 218))
    lines = [f"{n:06}.jpg  1 -1" if n % 2 else f"{n:06}.jpg -1 -1" for n in numbers]
    (tmp_path / "celeba" / "list_attr_celeba.txt").write_text("\n".join(["7", "Young Smiling", *lines]))
    data = opened("celeba", tmp_path)
    assert len(data.train) == 3 and len(data.test) == 2 and data.factor_names == ("Young", "Smiling")
    assert data.train.factors.tolist() == [[1, 0], [0, 0], [0, 0]] and data.test.factors[:, 0].tolist() == [0, 1]
    assert celeba.partition(["a/face.jpg"]) == (None, None)
    (tmp_path / "celeba" / "list_attr_celeba.txt").write_text("nothing")
    with pytest.raises(UserError, match="not CelebA's list"):
        opened("celeba", tmp_path)


def test_any_folder_of_aligned_images(tmp_path):
    pictures(tmp_path / "mine", [f"{n}.jpg" for n in range(12)], (178, 218))
    assert "a folder of aligned images" in opened("celeba", tmp_path / "mine").source


@real
def test_the_real_archive_of_faces_is_found():
    place, path = find(DATASETS["celeba"], str(REAL))
    assert "half size" in place.says and path.is_file()


# --- 3D Chairs


@pytest.mark.parametrize("packed", [False, True])
def test_chairs_have_directions(tmp_path, packed):
    names = [f"{model}/renders/image_{n:03}_p{p:03}_t{t:03}_r096.png"
             for model in ("1a", "2b") for n, (p, t) in enumerate([(20, 11), (30, 11), (20, 263), (30, 348)])]  # fmt: skip
    root = pictures(tmp_path / "x" / "rendered_chairs", names, (100, 100))
    if packed:
        tarred(tmp_path / "x", tmp_path / "root" / "rendered_chairs.tar")
        root = tmp_path / "root"
    data = opened("chairs", root)
    assert data.shape == (1, 64, 64) and data.factor_names == ("azimuth", "elevation") and data.factor_sizes == (3, 2)
    assert [v.tolist() for v in data.factor_values] == [[11, 263, 348], [20, 30]]
    assert len(data.train) + len(data.test) == 8
    assert set(data.values("train")[0].tolist()) <= {11, 263, 348}
    with pytest.raises(UserError, match="gives no direction"):
        chairs.directions(["chair.png"])


# --- dSprites


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(dsprites, "COUNT", 3 * 1024)


def test_dsprites_are_rendered_where_nothing_else_is_there(small, tmp_path):
    data = opened("dsprites", tmp_path)
    assert data.source.startswith("rendered") and any("rendered" in note for note in data.notes)
    assert any("cannot be fetched" in note for note in data.notes)
    images = data.train.images
    assert images.shape == (3072, 1, 64, 64) and images.nbytes == 3072 * 512 and data.test is data.train
    some = np.array([5, 3000, 17])
    assert np.array_equal(images[some], 255 * dsprites.render(some)[:, None])
    assert np.array_equal(data.train.factors[some], dsprites.factor_indices(some))
    assert np.allclose(np.stack(data.values("train"), axis=1)[some], dsprites.factor_values(some))
    again = opened("dsprites", tmp_path)
    assert again.checksum == data.checksum and not any("fetched" in note for note in again.notes)


@pytest.mark.parametrize("settings, shape", [({"size": 32}, (1, 32, 32)), ({"channels": 3}, (3, 64, 64)), ({"invert": True}, (1, 64, 64))])
def test_dsprites_in_another_shape(small, tmp_path, settings, shape):
    data = opened("dsprites", tmp_path, **settings)
    assert data.shape == shape and data.train.images[[1, 2]].shape == (2, *shape)
    assert data.train.images.to_float is None


def test_the_official_npz_is_preferred(small, tmp_path):
    indices = np.arange(dsprites.COUNT)
    images = dsprites.render(indices)
    images[7, 0, 0] ^= 1
    np.savez(
        tmp_path / dsprites.OFFICIAL_NAME, imgs=images,
        latents_classes=np.pad(dsprites.factor_indices(indices), ((0, 0), (1, 0))),
    )  # fmt: skip
    for _ in range(2):
        data = opened("dsprites", tmp_path)
        assert data.source.startswith("official npz") and any("its md5 is" in note for note in data.notes)
        assert np.array_equal(data.train.images[[7]][0, 0], 255 * images[7])
    (tmp_path / dsprites.OFFICIAL_NAME).write_text("<html>404</html>")
    with pytest.raises(UserError, match="not the official dSprites file"):
        opened("dsprites", tmp_path)

