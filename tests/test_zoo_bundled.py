"""Every packaged model is the file its row says, and reaches the figures its row says."""

from dataclasses import replace

import pytest
from conftest import REAL_DATA

from imaetool.data import open_data
from imaetool.errors import UserError
from imaetool.training.checkpoint import load
from imaetool.zoo.find import packaged_file
from imaetool.zoo.manifest import read_manifest
from imaetool.zoo.verify import verify

BUNDLED = [name for name, row in read_manifest().items() if row.status == "ready" and row.bundled]


@pytest.mark.parametrize("name", BUNDLED)
def test_the_file_is_the_one_in_the_manifest(name):
    (check,) = verify(read_manifest()[name], figures=False)
    assert check.result == "ok", check


@pytest.mark.parametrize("name", BUNDLED)
def test_every_figure_is_reached_again(name, monkeypatch):
    monkeypatch.setenv("IMAETOOL_OFFLINE", "1")
    row = read_manifest()[name]
    root = str(REAL_DATA) if REAL_DATA.is_dir() else ""
    try:
        open_data(replace(load(packaged_file(name)).config.data, root=root))
    except UserError as error:
        pytest.skip(f"its dataset is not here: {error}")
    checks = verify(row, data_root=root)
    assert len(checks) == 2 + len(row.figures)
    assert [c for c in checks if c.result != "ok"] == []
