"""How the commands fail: one line, an exit code, nothing half-written, what was there kept."""

import os
import subprocess
import sys

import pytest

from commands import one_line, run


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
    (["eval", "--device", "quantum"], "give auto, cpu, cuda or mps"),
    (["eval", "--device", "cuda:99"], "try --device cpu"),
    (["eval", "--k", "0"], "--k 0: must be 1 or more"),
    (["eval", "--n", "-1"], "--n -1: must be"),
    (["edit", "images/set0/00.png", "--unit", "1", "--value", "1e30"], "within -1e6 and 1e6"),
    (["edit", "images/set0/00.png", "--unit", "1", "--value", "1", "-o", "no/x.png"], "cannot write no/x.png: there is no folder no"),
    (["edit", "images/set0/00.png", "--unit", "1", "--value", "1", "-o", "x.jpg"], "must end in .png"),
    (["traverse", "-o", "no/x.png"], "cannot write no/x.png: there is no folder no"),
    (["train", "--seed", str(2**63)], "--seed of at most 2^63 - 1"),
    (["train", "--batch-size", "1"], "normalises over the batch, give --batch-size 2"),
    (["train", "--labels", "nosuch.csv"], "goes with images of your own, and the data is digits"),
    (["train", "--factors", "nosuch.csv"], "goes with images of your own, and the data is digits"),
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
    ["traverse", "--range=-1e30,1e30"], ["edit", "a.png", "--unit", "1", "--value", "1", "--unit", "1", "--value", "2"], ["encode", ""],
    ["eval", "--compare", "a"], ["eval", "a", "b"], ["eval", "--seed", "-1"],
], ids=" ".join)
def test_wrong_usage_is_exit_code_2(work, arguments):
    assert "Traceback" not in run(*arguments, cwd=work, code=2).stderr


def test_a_run_that_is_refused_leaves_no_folder(work):
    before = sorted((work / "runs").iterdir())
    for arguments in (["--batch-size", "1"], ["--seed", str(2**63)], ["--labels", "nosuch.csv"]):
        run("train", *arguments, cwd=work, code=1)
    assert sorted((work / "runs").iterdir()) == before


def program(*arguments, cwd):
    """Run imaetool as a program of its own."""
    command = [sys.executable, "-m", "imaetool", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_debug_shows_the_traceback(tmp_path):
    with_it, without = (program("eval", "-m", "none", *flag, cwd=tmp_path) for flag in (["--debug"], []))
    assert with_it.returncode == without.returncode == 1
    assert "Traceback" in with_it.stderr and "Traceback" not in without.stderr


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
