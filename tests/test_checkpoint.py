"""Checkpoints: what is saved comes back, and nothing hostile or broken is loaded."""

import json
import pickle
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

import imaetool
from imaetool import latents
from imaetool.errors import UserError
from imaetool.evaluation.pictures import draw_traversals
from imaetool.training.folder import CHECKPOINT, MODEL


@pytest.fixture
def model_file(run_folder, tmp_path):
    path = tmp_path / MODEL
    path.write_bytes((run_folder / MODEL).read_bytes())
    return path


def header_of(path):
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def rewrite(path, change):
    """Change the imaetool entry of a file's header and write it back, weights untouched."""
    header, body = header_of(path)
    entry = json.loads(header["__metadata__"]["imaetool"])
    change(entry)
    header["__metadata__"]["imaetool"] = json.dumps(entry)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def test_a_loaded_model_gives_the_same_codes_and_images(run_folder):
    first, second = (imaetool.load(run_folder / MODEL) for _ in range(2))
    x = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    a, b = first.encode(x), second.encode(x)
    assert torch.equal(a.mu, b.mu) and torch.equal(a.category_logits[0], b.category_logits[0])
    assert torch.equal(first.reconstruct(x), second.reconstruct(x))
    assert not first.training and first.config.objective["name"] == "imae"


def test_the_file_alone_rebuilds_the_model(model_file):
    model = imaetool.load(model_file)
    assert model.shape == (1, 8, 8) and model.latents.categories == (10,)
    assert set(model.record) >= {"figures", "versions", "seed", "dataset", "unit_information", "exemplars"}
    assert len(model.record["dataset"]["checksum"]) == 64


def test_missing(tmp_path):
    with pytest.raises(UserError, match="no model "):
        imaetool.load(tmp_path / "none.safetensors")


@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.999])
def test_cut_short(model_file, part):
    raw = model_file.read_bytes()
    model_file.write_bytes(raw[: int(len(raw) * part)])
    with pytest.raises(UserError, match="not a whole safetensors file"):
        imaetool.load(model_file)


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('a pickle was run')",))


def test_a_pickle_renamed_is_refused_and_never_run(model_file, tmp_path):
    model_file.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UserError, match="not a whole safetensors file"):
        imaetool.load(model_file)


def test_a_torch_file_renamed_is_refused(model_file):
    torch.save({"w": torch.zeros(3)}, model_file)
    with pytest.raises(UserError, match="not a whole safetensors file"):
        imaetool.load(model_file)


def test_safetensors_of_another_tool(tmp_path):
    save_file({"w": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match="was not written by imaetool"):
        imaetool.load(tmp_path / "other.safetensors")


def test_a_training_state_is_not_a_model(run_folder):
    with pytest.raises(UserError, match="holds a 'training state', not a model"):
        imaetool.load(run_folder / CHECKPOINT)


@pytest.mark.parametrize("change, message", [
    (lambda e: e.update(format=99), "has format 99"),
    (lambda e: e.update(shape=[1, 8, -8]), "shape"),
    (lambda e: e.update(shape=[3, 10**6, 10**6]), "shape"),
    (lambda e: e.update(shape="1x8x8"), "shape"),
    (lambda e: e["config"]["latents"].update(continuous=11), "the weights do not fit"),
    (lambda e: e["config"]["latents"].update(categories=[10**9]), "at most 65,536 units"),
    (lambda e: e["config"]["latents"].update(continuous=10**30), "at most 65,536 units"),
    (lambda e: e["config"]["latents"].update(categories=[60_000]), "the weights do not fit"),
    (lambda e: e.update(kind="\x1b]0;odd\x07" * 10**4), r"holds a '\\x1b"),
    (lambda e: e["config"].update(network="n" * 10**6), "unknown network 'nnn"),
    (lambda e: e["config"]["latents"].update(continuous=-1), "settings that no model can be built from"),
    (lambda e: e["config"].update(network="../../evil"), "settings that no model can be built from"),
    (lambda e: e["config"].update(network="mlp-imae-64"), "the weights do not fit"),
    (lambda e: e["config"].pop("latents"), ""),
    (lambda e: e.pop("config"), "settings that no model can be built from"),
    (lambda e: e["config"].update(surprise=1), "settings that no model can be built from"),
], ids=str)
def test_hostile_headers(model_file, change, message):
    rewrite(model_file, change)
    if message == "":  # a missing section takes its defaults, which here are the right ones
        assert imaetool.load(model_file).latents.continuous == 10
        return
    with pytest.raises(UserError, match=message) as error:
        imaetool.load(model_file)
    assert len(str(error.value)) < 2000


def test_a_huge_header_is_not_read(model_file):
    rewrite(model_file, lambda e: e.update(record={"names": ["x"] * 10**6}))
    with pytest.raises(UserError, match="announces a header of"):
        imaetool.load(model_file)


def test_a_model_of_few_weights_for_huge_images_takes_them_few_at_a_time():
    from imaetool.evaluation.encode import images_at_once

    assert images_at_once((1, 28, 28)) > 1000 and images_at_once((3, 64, 64)) > 1000
    assert images_at_once((3, 1024, 1024)) == 5 and images_at_once((3, 10**5, 10**5)) == 1


def test_weights_of_another_shape_or_name(model_file):
    header, _ = header_of(model_file)
    tensors = load_file(model_file)
    name = next(iter(tensors))
    for broken in ({**tensors, name: torch.zeros(2)}, {k: v for k, v in tensors.items() if k != name},
                   {**tensors, "extra": torch.zeros(1)}):
        save_file(broken, model_file, metadata=header["__metadata__"])
        with pytest.raises(UserError, match="the weights do not fit"):
            imaetool.load(model_file)


def test_a_failed_write_leaves_the_old_file(model_file, monkeypatch):
    import os

    from imaetool import files

    before = model_file.read_bytes()
    def full(fd):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        files.replace_file(model_file, b"new")
    assert caught.value.filename == str(model_file)
    assert model_file.read_bytes() == before and len(list(model_file.parent.iterdir())) == 1


@pytest.mark.parametrize("network", ["pixelcnn", "conv-infomax", "mlp-imae"])
def test_every_kind_of_network_comes_back(tmp_path, network):
    """pixelcnn's masks are constants that the file does not hold."""
    from imaetool.config import Latents, load_recipe
    from imaetool.training.checkpoint import Model, save_model

    latents = Latents(continuous=3, categories=(4,))
    model = Model(network, (1, 28, 28), latents).eval()
    from dataclasses import replace

    save_model(tmp_path / MODEL, model, replace(load_recipe("imae-mnist"), network=network, latents=latents), {})
    loaded = imaetool.load(tmp_path / MODEL)
    x = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    codes = model.encode(x)
    assert torch.equal(codes.mu, loaded.encode(x).mu)
    y = model.one_hot(*codes.categories)
    assert torch.equal(model.decode_logits(codes.mu, y, x), loaded.decode_logits(codes.mu, y, x))


def test_half_precision_weights_are_read_as_their_own_type(run_folder, tmp_path):
    from imaetool.training.checkpoint import save_model

    model = imaetool.load(run_folder / MODEL)
    path = tmp_path / MODEL
    save_model(path, model, model.config, model.record, dtype=torch.float16)
    assert path.stat().st_size < 0.6 * (run_folder / MODEL).stat().st_size
    again = imaetool.load(path)
    assert {p.dtype for p in again.parameters()} == {torch.float32}
    x = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(again.encode(x).mu, model.encode(x).mu, rtol=0, atol=0.02)


def test_weights_of_another_kind_are_refused(model_file):
    weights = load_file(model_file)
    header, _ = header_of(model_file)
    name = next(k for k, v in weights.items() if v.is_floating_point())
    weights[name] = weights[name].double()
    save_file(weights, model_file, metadata=header["__metadata__"])
    with pytest.raises(UserError, match="stored as F64"):
        imaetool.load(model_file)


def test_a_header_larger_than_any_of_ours_is_refused_unread(tmp_path):
    path = tmp_path / MODEL
    path.write_bytes(struct.pack("<Q", 1 << 40) + b"{}")
    with pytest.raises(UserError, match="announces a header of 1,099,511,627,776 bytes"):
        imaetool.load(path)


JUNK = [None, 7, "text", [], {}, [1, 2], [[1.0] * 10] * 9, [["x"] * 10] * 10, [[float("nan")] * 10] * 10, [None] * 10, ["1"] * 10,
        [1e300] * 10, {"name": ["a"]}, {"name": "\x1b[31mred"}, True]


@pytest.mark.parametrize("junk", JUNK, ids=repr)
@pytest.mark.parametrize("key", ["record", "unit_information", "exemplars", "reconstruction_limit", "dataset"])
def test_a_hostile_record_is_left_out_and_the_model_works(model_file, key, junk):
    rewrite(model_file, lambda e: e.update(record=junk) if key == "record" else e["record"].update({key: junk}))
    model = imaetool.load(model_file)
    units, information = latents.ranked_units(model.record, model.latents.continuous)
    assert sorted(units) == list(range(10)) and (information is None or len(information) == 10)
    z, y = latents.category_rows(model, model.record.get("exemplars"))
    assert z.shape == (10, 10) and latents.sweep(model, z, y, 0, torch.linspace(-2, 2, 3)).isfinite().all()
    assert "\x1b" not in str(model.record.get("dataset", {}).get("name", ""))
    draw_traversals(model, model.record)


def test_a_good_record_is_kept_whole(run_folder):
    entry = json.loads(header_of(run_folder / MODEL)[0]["__metadata__"]["imaetool"])
    assert imaetool.load(run_folder / MODEL).record == entry["record"]
    assert {"unit_information", "exemplars", "reconstruction_limit", "dataset"} <= entry["record"].keys()
