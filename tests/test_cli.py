"""The commands, run as a user runs them: what they write, what they say, how they fail."""

import contextlib
import csv
import io
import json
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from imaetool.images import read


def run(*arguments, cwd, code=0, **env):
    """Run imaetool in ``cwd``, within this process; check its exit code; what it printed."""
    from imaetool.__main__ import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name, value in {"COLUMNS": "160", **env}.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as left:
            main([str(a) for a in arguments])
    done = SimpleNamespace(returncode=left.value.code or 0, stdout=out.getvalue(), stderr=err.getvalue())
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def program(*arguments, cwd):
    """Run imaetool as a program of its own."""
    command = [sys.executable, "-m", "imaetool", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def one_line(done):
    """The command's whole complaint: one error line, no traceback, nothing on stdout."""
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "Traceback" not in done.stderr and done.stdout == "", done.stderr
    return errors[0]


@pytest.fixture(scope="module")
def home(run_folder, tmp_path_factory):
    """A folder with a finished run under runs/ and pictures under images/."""
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


def test_train_prints_figures_and_files(tmp_path):
    done = run("train", "--epochs", 2, "--restarts", 1, "--device", "cpu", cwd=tmp_path)
    assert "epoch 2/2" in done.stderr and "images/s" in done.stderr and "TC" in done.stderr
    assert "test accuracy" in done.stdout and "units by I(x;z)" in done.stdout
    for name in ("model.safetensors", "config.toml", "history.csv", "samples.png", "traversals.png"):
        assert f"runs/imae-digits-1/{name}" in done.stdout
        assert (tmp_path / "runs/imae-digits-1" / name).stat().st_size > 0


def test_train_json_and_every_flag(tmp_path):
    done = run(
        "train", "--json", "--restarts", 1, "--data", "digits", "--objective", "imae", "--network", "mlp-imae", "--latents", 4, "--categories", 5,
        "--epochs", 1, "--batch-size", 64, "--lr", "1e-3", "--beta", 2, "--gamma", 3, "--seed", 7, "--device", "cpu", "--precision",
        "fp32", "--output", "out", "--set", "temperature=0.5", "--set", "objective.entropy=2", "--size", 12, "--channels", 3, cwd=tmp_path,
    )
    found = json.loads(done.stdout)
    assert found["run"] == "out" and len(found["units"]) == 4 and found["figures"]["n"] > 100
    import tomllib

    config = tomllib.loads((tmp_path / "out/config.toml").read_text())
    assert config["objective"]["beta"] == 2.0 and config["objective"]["entropy"] == 2.0
    assert config["latents"] == {"continuous": 4, "categories": [5], "temperature": 0.5, "detach_categories": True}
    assert (config["data"]["size"], config["data"]["channels"]) == (12, 3)


def test_train_takes_its_images_without_a_flag(work):
    done = run("train", "images", "--epochs", 1, "--set", "least_steps=0", "--restarts", 1, "--device", "cpu", "--output", "out", cwd=work)
    assert "training imae on images" in done.stderr and (work / "out/model.safetensors").is_file()
    assert "give one" in run("train", "images", "--data", "digits", cwd=work, code=2).stderr
    assert "nosuch/: no such folder" in run("train", "nosuch/", cwd=work, code=1).stderr


def test_train_resume_from_the_command_line(tmp_path):
    run("train", "--epochs", 1, "--restarts", 1, "--device", "cpu", "--output", "runs/a", cwd=tmp_path)
    done = run("train", "--resume", "runs/a", "--epochs", 2, cwd=tmp_path)
    assert "epoch 2/2" in done.stderr and "epoch 1/" not in done.stderr
    (tmp_path / "runs/a/model.safetensors").unlink()
    done = run("train", "--resume", "--epochs", 3, cwd=tmp_path)
    assert "resuming runs/a" in done.stderr and "epoch 3/3" in done.stderr


def test_encode_defaults_to_the_newest_run_and_says_so(work):
    done = run("encode", "images", cwd=work)
    assert "runs/imae-digits-1/model.safetensors (the newest finished run)" in done.stderr
    assert done.stdout.strip() == "codes.parquet"
    from pyarrow import parquet

    table = parquet.read_table(work / "codes.parquet").to_pydict()
    assert table["path"] == sorted(table["path"]) and len(table["path"]) == 23
    assert {"category", "p_0", "p_9", "mu_0", "mu_9", "sigma_0", "sigma_9"} <= table.keys()
    assert all(abs(sum(table[f"p_{c}"][i] for c in range(10)) - 1) < 1e-5 for i in range(23))


def test_encode_reads_an_archive_as_it_reads_the_folder(work):
    archive = Path(shutil.make_archive(str(work / "pictures"), "zip", work / "images"))
    run("encode", "images", "-o", "a.csv", cwd=work)
    run("encode", archive.name, "-o", "b.csv", cwd=work)
    assert (work / "b.csv").read_text() == (work / "a.csv").read_text().replace("images/", "pictures.zip/")
    archive.write_bytes(archive.read_bytes()[:1000])
    assert "is damaged" in run("encode", archive.name, cwd=work, code=1).stderr


def test_every_format_holds_the_same_codes(work):
    for name in ("c.npz", "c.csv", "c.jsonl"):
        run("encode", "images", "-o", name, "--batch-size", 5, cwd=work)
    lines = [json.loads(line) for line in run("encode", "images", "-o", "-", cwd=work).stdout.splitlines()]
    assert lines == [json.loads(line) for line in (work / "c.jsonl").read_text().splitlines()] or len(lines) == 23
    arrays = np.load(work / "c.npz", allow_pickle=False)
    rows = list(csv.DictReader((work / "c.csv").open()))
    assert arrays["mu"].shape == arrays["sigma"].shape == (23, 10) and arrays["probabilities"].shape == (23, 10)
    for i, (line, row) in enumerate(zip(lines, rows, strict=True)):
        assert line["path"] == row["path"] == arrays["path"][i]
        assert line["category"] == int(row["category"]) == arrays["category"][i]
        assert line["mu"] == pytest.approx(arrays["mu"][i].tolist(), abs=1e-5)
        assert float(row["sigma_3"]) == pytest.approx(float(arrays["sigma"][i, 3]), abs=1e-5)


def test_codes_are_those_of_the_model(work):
    """Against the model called directly on the same picture."""
    import torch

    import imaetool

    model = imaetool.load(work / "runs/imae-digits-1/model.safetensors")
    run("encode", "images/set1", "-o", "c.npz", cwd=work)
    arrays = np.load(work / "c.npz")
    picture = read(work / str(arrays["path"][2]), channels=1, size=(8, 8))
    codes = model.encode(torch.from_numpy(picture[None]).float() / 255)
    assert arrays["mu"][2] == pytest.approx(codes.mu[0].numpy(), abs=1e-5)
    assert arrays["category"][2] == codes.categories[0][0]


@pytest.fixture
def spoiled(work):
    """A folder with good pictures and seven bad files."""
    folder = work / "spoiled"
    shutil.copytree(work / "images" / "set0", folder)
    good = next(folder.glob("*.png")).read_bytes()
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("hello")
    (folder / "half.png").write_bytes(good[: len(good) // 2])
    (folder / "new\nline.png").write_bytes(b"x")
    (folder / "übung.png").write_bytes(good)
    (folder / "notes.txt").write_text("not an image by its name")
    Image.new("1", (30000, 30000)).save(folder / "bomb.png")
    (folder / "dangling.png").symlink_to("nowhere.png")
    return folder


def test_unreadable_files_are_listed_skipped_and_counted(spoiled, work):
    done = run("encode", "spoiled", "-o", "c.jsonl", cwd=work, code=3)
    bad = {"empty.png", "text.png", "half.png", "new\nline.png", "bomb.png", "dangling.png"}
    told = [line for line in done.stderr.splitlines() if line.startswith("warning: skipped")]
    assert len(told) == len(bad) and "skipped 6 unreadable files" in done.stderr
    rows = list(csv.DictReader((work / "c.jsonl.unreadable.csv").open(newline="")))
    assert {Path(r["path"]).name for r in rows} == bad and all(r["reason"] for r in rows)
    paths = [json.loads(line)["path"] for line in (work / "c.jsonl").read_text().splitlines()]
    assert len(paths) == 9 and any("übung" in p for p in paths)


def test_strict_stops_and_keeps_the_old_output(spoiled, work):
    (work / "c.jsonl").write_text("precious")
    assert "--strict" in one_line(run("encode", "spoiled", "-o", "c.jsonl", "--strict", cwd=work, code=1))
    assert (work / "c.jsonl").read_text() == "precious" and not list(work.glob(".*"))


def test_the_sidecar_goes_when_all_is_well(spoiled, work):
    run("encode", "spoiled", "-o", "c.csv", cwd=work, code=3)
    run("encode", "images", "-o", "c.csv", cwd=work)
    assert len(list(csv.reader((work / "c.csv.unreadable.csv").open()))) == 1, "only the heading is left"


def test_pictures_of_any_mode_are_encoded(work):
    folder = work / "modes"
    folder.mkdir()
    grey = Image.open(work / "images/set0/00.png")
    Image.fromarray(np.array(grey).astype(np.uint16) * 257).save(folder / "a16.png")
    grey.convert("RGBA").save(folder / "alpha.png")
    grey.convert("CMYK").save(folder / "cmyk.jpg", quality=100)
    grey.save(folder / "animated.gif", save_all=True, append_images=[Image.new("L", grey.size, 255)])
    grey.save(folder / "grey.png")
    grey.convert("P").save(folder / "palette.png")
    run("encode", "modes", "-o", "c.npz", cwd=work)
    mu = np.load(work / "c.npz")["mu"]
    for row in mu:
        assert row == pytest.approx(mu[4], abs=0.15), "the same picture in another mode has nearly the same code"


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


WRONG = [
    (["encode", "missing/"], "missing"),
    (["encode", "nothing"], "no image"),
    (["encode", "images", "-o", "codes.xlsx"], "must end in"),
    (["encode", "images", "-o", "no/such/folder/codes.csv"], "no folder"),
    (["encode", "images", "--model", "nope"], "no model 'nope'"),
    (["encode", "images", "--model", "broken.safetensors"], "not a whole safetensors file"),
    (["traverse", "--unit", "10"], "units 0 to 9"),
    (["traverse", "--unit", "-1"], "units 0 to 9"),
    (["traverse", "--image", "missing.png"], "missing.png"),
    (["edit", "missing.png", "--unit", "1", "--value", "1"], "missing.png"),
    (["edit", "images/set0/00.png", "--unit", "1", "--value", "nan"], "finite"),
    (["edit", "images/set0/00.png", "--unit", "99", "--value", "1"], "units 0 to 9"),
    (["edit", "images/set0/00.png", "--category", "10"], "categories 0 to 9"),
    (["eval", "--metric", "accuracie"], "did you mean 'accuracy'"),
    (["eval", "--split", "validation"], "train or test"),
    (["eval", "--data", "missing/"], "no such folder"),
    (["eval", "--device", "quantum"], "cannot be used here"),
    (["train", "--recipe", "imae-mnits"], "did you mean 'imae-mnist'"),
    (["train", "--data", "mnits"], "did you mean 'mnist'"),
    (["train", "--data", "missing/folder"], "no such folder"),
    (["train", "--data", "nothing"], "no image"),
    (["train", "--objective", "imea"], "did you mean 'imae'"),
    (["train", "--set", "temprature=1"], "did you mean 'temperature'"),
    (["train", "--set", "beta"], "key=value"),
    (["train", "--beta", "nan"], "objective.beta"),
    (["train", "--epochs", "0"], "training.epochs"),
    (["train", "--categories", "1"], "2 values or more"),
    (["train", "--resume", "nowhere"], "no run to resume"),
    (["train", "--network", "conv-joint"], "32, 64 or 128"),
]


@pytest.mark.parametrize("arguments, said", WRONG, ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_wrong_input_is_one_line_and_exit_code_1(work, arguments, said):
    (work / "nothing").mkdir()
    raw = (work / "runs/imae-digits-1/model.safetensors").read_bytes()
    (work / "broken.safetensors").write_bytes(raw[: len(raw) // 2])
    before = sorted(p.name for p in work.iterdir())
    assert said in one_line(run(*arguments, cwd=work, code=1))
    after = sorted(p.name for p in work.iterdir())
    assert [n for n in after if n not in before and n != "runs"] == [], "nothing half-written"


@pytest.mark.parametrize("arguments", [
    ["train", "--epochs", "many"], ["encode"], ["edit", "a.png", "--unit", "1"], ["edit", "a.png"], ["nonsense"],
    ["traverse", "--range", "1"], ["traverse", "--range", "1,inf"], ["traverse", "--unit", "x"], ["train", "--resume", "--data", "mnist"],
], ids=" ".join)
def test_wrong_usage_is_exit_code_2(work, arguments):
    assert "Traceback" not in run(*arguments, cwd=work, code=2).stderr


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


def test_debug_shows_the_traceback(tmp_path):
    with_it, without = (program("eval", "-m", "none", *flag, cwd=tmp_path) for flag in (["--debug"], []))
    assert with_it.returncode == without.returncode == 1
    assert "Traceback" in with_it.stderr and "Traceback" not in without.stderr


def test_no_color_and_no_terminal_give_plain_text(work):
    assert "\x1b" not in run("eval", "--metric", "accuracy", cwd=work, NO_COLOR="1").stdout


def tmpfs(path, size):
    return subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], capture_output=True).returncode == 0


def test_full_disk_is_one_line_and_keeps_what_was_there(work):
    disk = work / "disk"
    disk.mkdir()
    if not tmpfs(disk, "64k"):
        pytest.skip("needs to mount a small tmpfs, which this user may not")
    try:
        (disk / "codes.csv").write_text("precious")
        (disk / "filler").write_bytes(b"0" * 52_000)
        message = one_line(run("encode", "images", "-o", "disk/codes.csv", cwd=work, code=1))
        assert "disk/codes.csv: the disk is full" in message
        assert (disk / "codes.csv").read_text() == "precious"
        message = one_line(run("train", "--epochs", 1, "--restarts", 1, "--output", "disk/run", cwd=work, code=1))
        assert "the disk is full" in message and not (disk / "run/model.safetensors").exists()
        assert not [p for p in disk.rglob("*") if p.name.endswith(".part")]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_read_only_folder_is_one_line(work):
    folder = work / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    if os.access(folder, os.W_OK):
        if not tmpfs(folder, "64k"):
            pytest.skip("this user may write everywhere and may not mount")
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    try:
        assert "locked/c.csv" in one_line(run("encode", "images", "-o", "locked/c.csv", cwd=work, code=1))
        assert "locked" in one_line(run("traverse", "--unit", 1, "-o", "locked/t.png", cwd=work, code=1))
        assert "locked/run" in one_line(run("train", "--output", "locked/run", cwd=work, code=1))
    finally:
        subprocess.run(["umount", folder], capture_output=True)
        folder.chmod(0o755)
