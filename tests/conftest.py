"""Shared fixtures: a tiny trained run, and the folder of real data where there is one."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # on tensors this small, threads cost more than they give

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
