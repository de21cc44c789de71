"""Pictures that a model was not made for: warned of once, with the model that fits better."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import imaetool
from tiny_zoo import run


def pictures_of(images, folder):
    folder.mkdir()
    paths = []
    for i, image in enumerate(images):
        paths.append(folder / f"{i}.png")
        Image.fromarray(image).save(paths[-1])
    return paths


@pytest.fixture(scope="module")
def digits():
    from imaetool.config import Data
    from imaetool.data import open_data

    return np.stack([open_data(Data(name="digits")).test.images[i, 0] for i in range(40)])


def test_no_warning_for_the_pictures_that_a_model_was_made_for(zoo, digits, tmp_path):
    from imaetool.zoo.unlike import unlike_warning

    assert unlike_warning(imaetool.load("tiny"), pictures_of(digits, tmp_path / "p")) is None


def test_negatives_are_told_as_such(zoo, digits, tmp_path):
    from imaetool.zoo.unlike import unlike_warning

    said = unlike_warning(imaetool.load("tiny"), pictures_of(255 - digits, tmp_path / "p"))
    assert "unlike the digits images" in said and "dark and light exchanged" in said


def test_pictures_of_another_kind_are_warned_of_once(zoo, tmp_path, capfd):
    noise = np.random.default_rng(0).integers(0, 256, (6, 32, 32), np.uint8)
    pictures_of(np.kron(noise[:, ::4, ::4], np.ones((1, 4, 4), np.uint8)), tmp_path / "p")
    result = run("encode", str(tmp_path / "p"), "-m", "tiny", "-o", str(tmp_path / "codes.jsonl"))
    said = capfd.readouterr().err + (result.stderr if result.stderr_bytes else "")
    assert result.exit_code == 0 and said.count("unlike the digits images") == 1
    assert f"imaetool train --data {tmp_path / 'p'}" in said


@pytest.mark.parametrize("rows, named", [
    ([("tiny", True)], "tiny"), ([("other", False), ("tiny", True)], "other"), ([("tiny", True), ("other", False)], "tiny"),
])
def test_of_the_models_beside_the_package_the_first_of_each_dataset_is_asked(zoo, packaged, digits, tmp_path, rows, named):
    from imaetool.zoo import manifest
    from imaetool.zoo.unlike import better_model

    manifest.write_manifest({name: replace(packaged[1], name=name, bundled=bundled) for name, bundled in rows}, zoo)
    assert better_model(pictures_of(digits, tmp_path / "p")) == named


def test_of_models_that_find_the_pictures_usual_the_one_that_keeps_most_of_them_is_named(zoo, packaged, digits, tmp_path):
    """Not the first, and not the one with the widest limit: one decodes every picture to the same."""
    from imaetool.training.checkpoint import load, save_model
    from imaetool.zoo import manifest
    from imaetool.zoo.unlike import better_model

    model = load(packaged[0] / "tiny.safetensors")
    with torch.no_grad():
        for weight in model.decoder.parameters():
            weight.zero_()
    save_model(packaged[0] / "blank.safetensors", model, model.config, model.record | {"reconstruction_limit": 1e9})
    rows = {name: replace(packaged[1], name=name, file=f"{name}.safetensors", bundled=True) for name in ("blank", "tiny")}
    manifest.write_manifest(rows, zoo)
    try:
        assert better_model(pictures_of(digits, tmp_path / "p")) == "tiny"
        assert better_model([]) is None
    finally:
        (packaged[0] / "blank.safetensors").unlink()


def test_the_packaged_model_that_fits_better_is_named(zoo, packaged, digits, tmp_path):
    """Beside the model that fits, one whose limit nothing stays below."""
    from imaetool.training.checkpoint import load, save_model
    from imaetool.zoo.unlike import unlike_warning

    model = load(packaged[0] / "tiny.safetensors")
    save_model(tmp_path / "strict.safetensors", model, model.config, model.record | {"reconstruction_limit": 0.0})
    said = unlike_warning(load(tmp_path / "strict.safetensors"), pictures_of(digits, tmp_path / "p"))
    assert "--model tiny fits better" in said


def test_the_limit_is_what_999_of_1000_stay_below():
    from imaetool.evaluation.likeness import typical_limit

    values = torch.arange(1, 1002, dtype=torch.float64)
    assert typical_limit(values) == pytest.approx(1000.0)
