"""imaetool encode: every format, the codes themselves, pictures of any mode, and the files that cannot be read."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commands import one_line, run
from imaetool.images import read


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
