"""Shared fixtures: a tiny trained run, a folder and a zoo that hold it, a Hub, and the folder of real data where there is one."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # on tensors this small, threads cost more than they give

pytest.register_assert_rewrite("commands", "drawn")  # their assertions are explained as those of a test are

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """No test reads or writes the user's cache, and none sees the user's data folder."""
    monkeypatch.setenv("IMAETOOL_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("IMAETOOL_DATA", raising=False)


@pytest.fixture(scope="session")
def real_data() -> Path:
    if not (REAL_DATA / "MNIST").is_dir():
        pytest.skip("needs the real datasets in ../shared/data, which are not here")
    return REAL_DATA


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory) -> Path:
    """A finished run of the default recipe, 12 epochs on the built-in digits, in fp32."""
    from imaetool import train
    from imaetool.config import apply, load_recipe

    folder = tmp_path_factory.mktemp("trained") / "runs" / "imae-digits-1"
    config = apply(load_recipe("imae-digits"), {"training.epochs": 12, "training.device": "cpu", "training.precision": "fp32", "training.restarts": 1})
    train(config, output=str(folder))
    return folder


@pytest.fixture(scope="session")
def home(run_folder, tmp_path_factory):
    """A folder with a finished run under runs/ and pictures under images/."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    home = tmp_path_factory.mktemp("home")
    shutil.copytree(run_folder, home / "runs" / "imae-digits-1")
    digits = load_digits().images
    for i in range(23):
        target = home / "images" / f"set{i % 3}" / f"{i:02d}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.uint8(digits[i] * 15)).save(target)
    return home


@pytest.fixture
def work(home, tmp_path):
    """A fresh working folder that sees the finished run and the pictures."""
    (tmp_path / "runs").symlink_to(home / "runs")
    (tmp_path / "images").symlink_to(home / "images")
    return tmp_path


@pytest.fixture(scope="session")
def packaged(run_folder, tmp_path_factory):
    """(folder, row) of the tiny run, packaged."""
    from imaetool.zoo.manifest import Model
    from imaetool.zoo.package import package
    from tiny_zoo import METRICS

    folder = tmp_path_factory.mktemp("zoo")
    return folder, package(run_folder, Model("tiny", "recipe only", "imae-digits", "A tiny one."), folder=folder, metrics=METRICS)


@pytest.fixture
def zoo(packaged, monkeypatch, tmp_path):
    """A zoo of that one model: its manifest and its folder in place of the real ones."""
    from imaetool.zoo import find, manifest

    folder, row = packaged
    path = tmp_path / "weights_manifest.json"
    manifest.write_manifest({"tiny": replace(row, bundled=True)}, path)
    monkeypatch.setattr(manifest, "PATH", path)
    for module in (find, manifest):
        monkeypatch.setattr(module, "BUNDLED", folder, raising=False)
        monkeypatch.setattr(module, "source_weights", lambda: None)
    monkeypatch.setattr(manifest.read_manifest, "__defaults__", (path,))
    monkeypatch.setattr(manifest.write_manifest, "__defaults__", (path,))
    monkeypatch.chdir(tmp_path)
    return path


@pytest.fixture(scope="session")
def hub_server():
    from hub_server import Hub

    hub = Hub()
    yield hub
    hub.shutdown()
    hub.server_close()


@pytest.fixture
def hub(hub_server):
    """A Hub on 127.0.0.1 with the repository a/b."""
    from hub_server import CONTENT, FILE, Repo

    hub_server.reset()
    hub_server.repos["a/b"] = Repo()
    hub_server.repos["a/b"].commit({FILE: CONTENT, "other.txt": b"x"})
    return hub_server
