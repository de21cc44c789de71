"""traverse, edit, eval and recipes, run as a user runs them: what they write, and which model they take."""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from commands import one_line, run


def test_traverse_one_unit_and_all(work):
    done = run("traverse", "--unit", 3, cwd=work)
    assert done.stdout.strip() == "traverse-unit-3.png"
    first = Image.open(work / "traverse-unit-3.png")
    assert first.width > 11 * 48 and first.height > 10 * 48, "ten categories by eleven values"
    run("traverse", "--unit", "all", "--gif", "--range", "-1,1", "--steps", 3, "-o", "t.png", cwd=work)
    assert Image.open(work / "t.gif").n_frames == 4, "three values, there and back"
    assert Image.open(work / "t.png").width < first.width
    done = run("traverse", "--unit", 0, "--image", "images/set0/00.png", "--image", "images/set1/01.png", cwd=work)
    assert Image.open(work / "traverse-unit-0.png").height < first.height / 2


def test_edit_changes_what_it_is_told_to(work):
    picture = "images/set0/00.png"
    done = run("edit", picture, "--unit", 3, "--value", 1.5, "--unit", 0, "--value", -1, "--category", 4, "-o", "e.png", cwd=work)
    assert done.stdout.strip() == "e.png" and "unit 3" in done.stderr and "-> 4" in done.stderr
    assert Image.open(work / "e.png").size == (8, 8)
    run("edit", picture, "--category", 4, "--compare", "-o", "side.png", cwd=work)
    assert Image.open(work / "side.png").width > 3 * 48
    import torch

    import imaetool
    from imaetool import latents
    from imaetool.encoding import encode_pictures

    model = imaetool.load(work / "runs/imae-digits-1/model.safetensors")
    codes = encode_pictures(model, [work / picture])
    z = codes.mu.clone()
    z[0, 3], z[0, 0] = 1.5, -1
    expected = model.decode(z, model.one_hot(torch.tensor([4])))[0, 0]
    assert np.asarray(Image.open(work / "e.png")) == pytest.approx((expected * 255).round().numpy(), abs=1)
    assert torch.equal(latents.edit(model, codes, {}), model.decode(codes.mu, model.one_hot(*codes.categories)))


def test_eval_as_table_and_as_json(work):
    table = run("eval", "--metric", "accuracy", "--metric", "information", "--metric", "reconstruction", cwd=work).stdout
    for word in ("one-to-one (Hungarian)", "majority", "nats", "test split", "most informative first"):
        assert word in table
    found = json.loads(run("eval", "--metric", "accuracy", "--metric", "reconstruction", "--json", cwd=work).stdout)
    assert found["schema"] == 1 and found["split"] == "test" and len(found["data_checksum"]) == 64
    assert [r["metric"] for r in found["results"]] == ["accuracy", "accuracy", "reconstruction", "reconstruction"]
    assert all(r["variant"] and r["n"] == 188 for r in found["results"])
    recorded = json.loads(run("eval", "--json", cwd=work).stdout)["results"]
    import imaetool

    figures = imaetool.load(work / "runs/imae-digits-1/model.safetensors").record["figures"]
    assert recorded[0]["value"] == pytest.approx(figures["accuracy"])


def test_newest_run_wins(work, home):
    (work / "runs").unlink()
    shutil.copytree(home / "runs" / "imae-digits-1", work / "runs" / "old")
    shutil.copytree(home / "runs" / "imae-digits-1", work / "runs" / "new")
    os.utime(work / "runs/old/model.safetensors", (1, 1))
    assert "runs/new/" in run("eval", "--metric", "accuracy", cwd=work).stderr
    assert "runs/old/" in run("eval", "--metric", "accuracy", "--model", "old", cwd=work).stderr


def test_recipes(tmp_path):
    assert "imae-mnist" in run("recipes", "list", cwd=tmp_path).stdout
    assert "[objective]" in run("recipes", "show", "imae-digits", cwd=tmp_path).stdout


def test_with_no_run_a_packaged_model_is_taken_and_said(tmp_path):
    done = run("eval", "--metric", "accuracy", cwd=tmp_path)
    assert "imae-digits, packaged" in done.stderr and "no finished run under runs/" in done.stderr
    assert "one-to-one" in done.stdout


def test_no_model_at_all_says_what_to_do(tmp_path, monkeypatch):
    from imaetool.zoo import find

    monkeypatch.setattr(find, "packaged_file", lambda name: None)
    for arguments in (["traverse"], ["eval"], ["eval", "--metric", "mig"]):
        assert "imaetool train" in one_line(run(*arguments, cwd=tmp_path, code=1))


def test_an_unfinished_run_is_not_taken(tmp_path, home):
    (tmp_path / "runs/a").mkdir(parents=True)
    shutil.copy(home / "runs/imae-digits-1/checkpoint.safetensors", tmp_path / "runs/a")
    assert "no finished run" in run("eval", "--metric", "accuracy", cwd=tmp_path).stderr
    assert "imaetool train --resume runs/a" in one_line(run("eval", "--model", "a", cwd=tmp_path, code=1))


def test_no_color_and_no_terminal_give_plain_text(work):
    assert "\x1b" not in run("eval", "--metric", "accuracy", cwd=work, NO_COLOR="1").stdout
