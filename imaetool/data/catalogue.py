"""What every dataset has, declared once: labels, factors, splits, licence, source, files. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imaetool.data.paths import roots
from imaetool.errors import UserError, unknown_name

__all__ = ["DATASETS", "Dataset", "File", "Place", "absent", "find", "lookup"]


@dataclass(frozen=True)
class File:
    """A file to fetch: where under the data folder, from where, and how to know it is whole.

    ``unpacked`` is what is kept of a .gz file, or the folder an archive is unpacked to, with its own
    checksum where it is one file.
    """

    path: str
    urls: tuple[str, ...]
    size: int = 0  # bytes; 0: not known
    md5: str = ""
    sha256: str = ""
    unpacked: str = ""
    unpacked_sha256: str = ""


@dataclass(frozen=True)
class Place:
    """A form in which a dataset may lie under the data folder: all ``paths`` are needed."""

    paths: tuple[str, ...]
    says: str  # what every output calls it


@dataclass(frozen=True)
class Dataset:
    """One line of the table."""

    name: str
    title: str
    images: str  # how many, and how they are split
    shape: tuple[int, int, int]  # (C, H, W) unless asked otherwise; zeros: depends on the images
    licence: str
    source: str
    labels: tuple[str, ...] = ()
    factors: Mapping[str, int] = field(default_factory=dict)  # name -> number of values; 0: depends on the images
    split: str = "official"
    places: tuple[Place, ...] = ()  # in order of preference
    files: tuple[File, ...] = ()
    made: str = ""  # how it is had without any file
    note: str = ""
    terms: str = ""  # shown once


_DIGITS = tuple("0123456789")
_CLOTHES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_BY_CONTENT = "none official: 90/10 by a hash of each image, seed 0; an image keeps its side when others are added"


def _idx_files(folder: str, mirrors: tuple[str, ...], sums: Mapping[str, tuple[int, str, str]]) -> tuple[File, ...]:
    return tuple(
        File(f"{folder}/raw/{name}.gz", tuple(f"{mirror}{name}.gz" for mirror in mirrors), size, md5, "", f"{folder}/raw/{name}", sha)
        for name, (size, md5, sha) in sums.items()
    )


_MNIST_FILES = _idx_files(
    "MNIST", ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    dict(zip(_IDX, (
        (9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        (28_881, "d53e105ee54ea40749a09fcbcd1e9432", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        (1_648_877, "9fb629c4189551a2d022fa330f9573f3", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        (4_542, "ec29112dd5afa0611ce80d1b7f02629c", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ))),
)  # fmt: skip
_FASHION_FILES = _idx_files(
    "FashionMNIST", ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    dict(zip(_IDX, (
        (26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
        (29_515, "25c81989df183df01b3e8a0aad5dffbe", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
        (4_422_102, "bef4ecab320f06d8554ea6380940ec79", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
        (5_148, "bb300cfdad3c16e7a12a480ee83cd310", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
    ))),
)  # fmt: skip
_TORONTO = "https://www.cs.toronto.edu/~kriz/"
_NPZ = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"

_TABLE = (
    Dataset(
        "digits", "Handwritten digits, UCI, as shipped with scikit-learn", "1,797", (1, 8, 8), "CC BY 4.0",
        "https://archive.ics.uci.edu/dataset/80", _DIGITS, split=_BY_CONTENT, made="bundled",
    ),
    Dataset(
        "mnist", "MNIST handwritten digits", "60,000 train, 10,000 test", (1, 28, 28), "CC BY-SA 3.0",
        "http://yann.lecun.com/exdb/mnist/", _DIGITS,
        places=(Place(tuple(f"MNIST/raw/{n}" for n in _IDX), "official idx files"),), files=_MNIST_FILES,
    ),
    Dataset(
        "fashion-mnist", "Fashion-MNIST, pictures of clothes", "60,000 train, 10,000 test", (1, 28, 28), "MIT",
        "https://github.com/zalandoresearch/fashion-mnist", _CLOTHES,
        places=(Place(tuple(f"FashionMNIST/raw/{n}" for n in _IDX), "official idx files"),), files=_FASHION_FILES,
    ),
    Dataset(
        "cifar10", "CIFAR-10, small colour photographs", "50,000 train, 10,000 test", (3, 32, 32),
        "none stated by its authors; cite Krizhevsky, 2009", "https://www.cs.toronto.edu/~kriz/cifar.html", _CIFAR10,
        places=(
            Place(("cifar-10-batches-bin",), "official binary version"),
            Place(("cifar-10-binary.tar.gz",), "official binary version"),
            Place(("cifar10-jpeg/cifar10_jpeg.tar",), "JPEG, slightly lossy"),
            Place(("cifar10_jpeg.tar",), "JPEG, slightly lossy"),
        ),
        files=(File(
            "cifar-10-binary.tar.gz", (_TORONTO + "cifar-10-binary.tar.gz",), 170_052_171, "c32a1d4ab5d03f1284b67883e8d87530",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd", "cifar-10-batches-bin",
        ),),
        note="the binary version only: the Python version is pickled, and nothing here opens a pickle",
    ),
    Dataset(
        "cifar100", "CIFAR-100, small colour photographs in 100 classes", "50,000 train, 10,000 test", (3, 32, 32),
        "none stated by its authors; cite Krizhevsky, 2009", "https://www.cs.toronto.edu/~kriz/cifar.html",
        tuple(f"class {n}" for n in range(100)),
        places=(
            Place(("cifar-100-binary",), "official binary version"),
            Place(("cifar-100-binary.tar.gz",), "official binary version"),
        ),
        files=(File(
            "cifar-100-binary.tar.gz", (_TORONTO + "cifar-100-binary.tar.gz",), 168_513_733,
            "03b5dce01913d631647c71ecec9e9cb8", "", "cifar-100-binary",
        ),),
        note="labels are the 100 fine classes, named by the archive's own list; the binary version only (no pickle)",
    ),
    Dataset(
        "dsprites", "dSprites, every combination of five factors", "737,280", (1, 64, 64), "Apache 2.0",
        "https://github.com/google-deepmind/dsprites-dataset",
        factors={"shape": 3, "scale": 6, "orientation": 40, "pos_x": 32, "pos_y": 32},
        split="none: training and evaluation both use all images, as is the custom with this dataset",
        places=(Place((f"dsprites/{_NPZ}",), "official npz"), Place((_NPZ,), "official npz")),
        files=(File(
            f"dsprites/{_NPZ}",
            (f"https://github.com/google-deepmind/dsprites-dataset/raw/master/{_NPZ}",
             f"https://github.com/deepmind/dsprites-dataset/raw/master/{_NPZ}"),
            md5="7da33b31b13a06f4b04a70402ce90c2e",
        ),),
        made="rendered from its geometry on first use (377 MB in the cache)",
        note="docs/dsprites.md says how exact the rendering is; labels as indices and as values",
    ),
    Dataset(
        "celeba", "CelebA, aligned faces", "202,599: 162,770 train, 19,867 validation (left out), 19,962 test", (3, 64, 64),
        "non-commercial research only", "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        factors={"(40 attributes)": 2}, split="official, by image number; 90/10 by content where only training images are there",
        places=(
            Place(("celeba/img_align_celeba",), "aligned images"), Place(("img_align_celeba",), "aligned images"),
            Place(("celeba/img_align_celeba.zip",), "official archive"), Place(("img_align_celeba.zip",), "official archive"),
            Place(("celeba-10k/img_align_celeba_half.tar",), "images 1 to 10,000 at half size"),
            Place(("img_align_celeba_half.tar",), "images 1 to 10,000 at half size"),
            Place(("*.jpg",), "a folder of aligned images"),
        ),
        files=(File(
            "celeba/img_align_celeba.zip",
            ("https://huggingface.co/datasets/Yuehao/celeba/resolve/main/img_align_celeba.zip",
             "https://s3.amazonaws.com/pytorch-tutorial-assets/img_align_celeba.zip"),
            1_443_490_838, "00d2c5bc6d35e252742224ab0c1e8fcb", "46fb89443c578308acf364d7d379fe1b9efb793042c0af734b6112e4fd3a8c74",
        ),),
        note="centre crop 148 x 148 of 178 x 218 (74 of 89 x 109 at half size), then resized to 64 x 64; "
             "the attributes are factors where list_attr_celeba.txt lies beside the images",
        terms="CelebA is for non-commercial research only: its images must not be sold or published as a dataset "
              "(https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html)",
    ),
    Dataset(
        "chairs", "3D Chairs of Aubry et al., 1,393 models from 62 directions", "86,366", (1, 64, 64),
        "none stated by its authors; cite Aubry et al., Seeing 3D chairs, CVPR 2014",
        "https://www.di.ens.fr/willow/research/seeing3Dchairs/",
        factors={"azimuth": 31, "elevation": 2}, split=_BY_CONTENT,
        places=(
            Place(("chairs/rendered_chairs",), "folder of renders"), Place(("rendered_chairs",), "folder of renders"),
            Place(("chairs/rendered_chairs.tar",), "official tar"), Place(("rendered_chairs.tar",), "official tar"),
            Place(("*/renders",), "folder of renders"),
        ),
        files=(File("chairs/rendered_chairs.tar", ("https://www.di.ens.fr/willow/research/seeing3Dchairs/data/rendered_chairs.tar",)),),
        note="azimuth and elevation are read from the file names (t and p, in degrees)",
    ),
    Dataset(
        "folder", "Anybody's own images: --data path/to/images", "as many as there are", (0, 0, 0), "your own images", "",
        split=_BY_CONTENT, made="your own images",
        note="labels from class sub-folders or --labels file.csv, factors from --factors file.csv",
    ),
)  # fmt: skip

DATASETS = {entry.name: entry for entry in _TABLE}


def lookup(name: str) -> Dataset:
    """The table's line for ``name``; UserError naming the near ones if there is none."""
    if name not in DATASETS:
        raise unknown_name("dataset", name, DATASETS)
    return DATASETS[name]


def find(entry: Dataset, root: str = "") -> tuple[Place, Path] | None:
    """The first place in which all the files of a dataset lie, with its (first) path; None if there is none."""
    for folder in roots(root):
        for place in entry.places:
            if "*" in place.paths[0]:
                if next(folder.glob(place.paths[0]), None) is not None and root:
                    return place, folder
            elif all((folder / path).exists() for path in place.paths):
                return place, folder / place.paths[0]
    return None


def absent(entry: Dataset, root: str = "", why: str = "") -> UserError:
    """The error for a dataset that is not there: what to put where."""
    folder = roots(root)[0]
    names = " or ".join(dict.fromkeys(", ".join(p.paths) for p in entry.places if "*" not in p.paths[0]))
    return UserError(
        f"{entry.name} is not in {folder}{f' ({why})' if why else ''}: imaetool data fetch {entry.name}, "
        f"or put {names} there, or say where they are with --data-root"
    )
