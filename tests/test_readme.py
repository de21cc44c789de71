"""Every imaetool command that the README shows is run, training cut to one epoch."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commands import run

README = Path(__file__).parents[1] / "README.md"
LINES = [line.partition("#")[0].strip() for block in re.findall(r"```sh\n(.*?)```", README.read_text(), re.S) for line in block.splitlines()]
COMMANDS = [line for line in LINES if line.startswith("imaetool ")]


def test_the_readme_shows_the_commands_that_matter():
    assert {c.split()[1] for c in COMMANDS} >= {"train", "encode", "traverse", "edit", "eval"}
    assert {"make demo", "make test", "pip install ."} <= set(LINES)


@pytest.fixture
def work(run_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "runs" / "imae-digits-1")
    (tmp_path / "photos").mkdir()
    random = np.random.default_rng(0)
    for i in range(24):
        Image.fromarray(random.integers(0, 255, (30 + i, 40, 3), dtype=np.uint8)).save(tmp_path / "photos" / f"{i}.jpg")
    shutil.copytree(tmp_path / "photos", tmp_path / "digits")
    shutil.copy(tmp_path / "photos" / "0.jpg", tmp_path / "photo.png")
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_command(command, work, request):
    words = shlex.split(command)[1:]
    if "path/to/data" in words:
        words[words.index("path/to/data")] = str(request.getfixturevalue("real_data"))
    if words[0] == "train":
        words += ["--epochs", "1", "--restarts", "1", "--device", "cpu"]
        words += ["--batch-size", "512", "--vat", "0"] if "--data-root" in words else []
    if words[:2] == ["zoo", "verify"]:
        words.append("imae-digits")  # test_zoo_bundled.py verifies them all
    run(*words, cwd=work)


def test_every_flag_the_readme_names_exists(work):
    for command in COMMANDS:
        verb, *words = shlex.split(command)[1:]
        verbs = [verb, words[0]] if verb == "zoo" else [verb]
        told = run(*verbs, "--help", cwd=work, COLUMNS="200", NO_COLOR="1").stdout
        for flag in (w for w in words if w.startswith("--")):
            assert flag in told, f"{command}: {flag} is not in the help"
