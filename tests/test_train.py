"""Training runs: what they write, and that a resumed run ends with the same bits."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from imaetool import train
from imaetool.config import apply, load_recipe
from imaetool.errors import UserError
from imaetool.training import checkpoint
from imaetool.training.folder import CHECKPOINT, FILES, LOCK, MODEL
from imaetool.training.memory import Memory
from imaetool.training.run import Interrupted, Reporter, resume


def small(**changes):
    keys = {"training.epochs": 4, "training.device": "cpu", "training.precision": "fp32", "training.restarts": 1}
    return apply(load_recipe("imae-digits"), keys | changes)


def assert_same_bits(first: Path, second: Path):
    a, b = load_file(first), load_file(second)
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(small(), output=str(folder))
    return folder


def test_a_run_writes_all_its_files(uninterrupted):
    assert sorted(p.name for p in uninterrupted.iterdir()) == sorted([*FILES, CHECKPOINT])
    config = tomllib.loads((uninterrupted / "config.toml").read_text())
    assert config["training"]["seed"] == 0 and config["training"]["epochs"] == 4
    assert config["objective"]["estimator"] == "plain", "every default is written out"
    assert config["record"]["versions"]["torch"] == torch.__version__
    assert len(config["record"]["dataset"]["checksum"]) == 64
    rows = list(csv.DictReader((uninterrupted / "history.csv").open()))
    assert {int(r["epoch"]) for r in rows} == {1, 2, 3, 4}
    assert {"loss", "reconstruction", "information_y", "total_correlation", "vat", "affine"} <= {r["term"] for r in rows}
    losses = [float(r["nats"]) for r in rows if r["term"] == "loss"]
    assert losses[-1] < losses[0]
    for name in ("samples.png", "traversals.png"):
        assert min(Image.open(uninterrupted / name).size) > 300


def test_config_toml_is_a_recipe_that_gives_the_same_bits(uninterrupted, tmp_path):
    train(load_recipe(str(uninterrupted / "config.toml")), output=str(tmp_path / "again"))
    assert_same_bits(uninterrupted / MODEL, tmp_path / "again" / MODEL)


def test_another_seed_gives_other_bits(uninterrupted, tmp_path):
    train(small(**{"training.seed": 1}), output=str(tmp_path / "other"))
    a, b = load_file(uninterrupted / MODEL), load_file(tmp_path / "other" / MODEL)
    assert not torch.equal(a["encoder.trunk.0.weight"], b["encoder.trunk.0.weight"])


def test_two_epochs_then_resumed_to_four(uninterrupted, tmp_path):
    train(small(**{"training.epochs": 2}), output=str(tmp_path / "run"))
    resume(tmp_path / "run", {"training.epochs": 4})
    assert_same_bits(uninterrupted / MODEL, tmp_path / "run" / MODEL)
    assert_same_bits(uninterrupted / CHECKPOINT, tmp_path / "run" / CHECKPOINT)
    assert (uninterrupted / "history.csv").read_text() == (tmp_path / "run" / "history.csv").read_text()


class StopAt(Reporter):
    """Sends this process Ctrl-C after a number of steps."""

    def __init__(self, step):
        self.step = step

    def stepped(self, trainer, values):
        if trainer.progress.step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("step", [5, 12, 15], ids=["within an epoch", "at an epoch's end", "later"])
def test_ctrl_c_anywhere_then_resume(uninterrupted, tmp_path, step):
    with pytest.raises(Interrupted, match="imaetool train --resume"):
        train(small(), output=str(tmp_path / "run"), reporter=StopAt(step))
    assert not (tmp_path / "run" / MODEL).exists(), "a stopped run is not a finished one"
    resume(tmp_path / "run")
    assert_same_bits(uninterrupted / MODEL, tmp_path / "run" / MODEL)
    assert (uninterrupted / "history.csv").read_text() == (tmp_path / "run" / "history.csv").read_text()


@pytest.mark.parametrize("moment, step", [("stepped", 14), ("epoch_done", 12)], ids=["within an epoch", "at an epoch's end"])
def test_kill_dash_nine_then_resume(uninterrupted, tmp_path, moment, step):
    """Killed at once after a checkpoint mid-run: nothing half-written, and the same bits and history at the end."""
    code = f"""
import os, signal, sys
from imaetool.training import run as r
from imaetool import train
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_train import small
r.SAVE_EVERY = 0.0
class Kill(r.Reporter):
    def {moment}(self, trainer, *_):
        if trainer.progress.step == {step}:
            os.kill(os.getpid(), signal.SIGKILL)
train(small(), output={str(tmp_path / 'run')!r}, reporter=Kill())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    resume(tmp_path / "run")
    assert_same_bits(uninterrupted / MODEL, tmp_path / "run" / MODEL)
    assert (uninterrupted / "history.csv").read_text() == (tmp_path / "run" / "history.csv").read_text()


@pytest.mark.parametrize("epochs, told", [(4, "is finished, at 4 epochs"), (2, "has trained 4 epochs already")])
def test_a_finished_run_is_not_resumed_for_nothing(uninterrupted, tmp_path, epochs, told):
    shutil.copytree(uninterrupted, tmp_path / "run")
    with pytest.raises(UserError, match=told):
        resume(tmp_path / "run", {"training.epochs": epochs})
    for path in uninterrupted.iterdir():
        assert path.read_bytes() == (tmp_path / "run" / path.name).read_bytes(), "nothing was written"


def test_a_state_of_other_sizes_than_its_settings_is_refused_before_it_is_made(uninterrupted, tmp_path):
    shutil.copytree(uninterrupted, tmp_path / "run")
    tensors, header = checkpoint.read_state(tmp_path / "run" / CHECKPOINT)
    header["config"]["training"]["memory"] = 10**11  # 8 TB, were it made
    del header["format"], header["kind"]
    checkpoint.save_state(tmp_path / "run" / CHECKPOINT, tensors, header)
    with pytest.raises(UserError, match="another model or memory"):
        resume(tmp_path / "run")


def test_a_resumed_run_refuses_other_settings(uninterrupted):
    with pytest.raises(UserError, match="a resumed run can change only"):
        resume(uninterrupted, {"objective.beta": 3.0})


def test_a_run_that_another_process_trains_is_left_to_it(uninterrupted, tmp_path):
    shutil.copytree(uninterrupted, tmp_path / "run")
    hold = "import sys; from filelock import FileLock; lock = FileLock(sys.argv[1]); lock.acquire(); print('held', flush=True); input()"
    command = [sys.executable, "-c", hold, str(tmp_path / "run" / LOCK)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="being trained by another process"):
            resume(tmp_path / "run", {"training.epochs": 5})
        other.kill()
    assert resume(tmp_path / "run", {"training.epochs": 5}).trainer.progress.history[-1][0] == 5
    assert not (tmp_path / "run" / LOCK).exists()


def test_nothing_to_resume(tmp_path):
    with pytest.raises(UserError, match="no run to resume"):
        resume(tmp_path)


def test_an_occupied_output_is_left_alone(uninterrupted):
    before = (uninterrupted / MODEL).stat().st_mtime_ns
    with pytest.raises(UserError, match="exists already"):
        train(small(), output=str(uninterrupted))
    assert (uninterrupted / MODEL).stat().st_mtime_ns == before


def test_divergence_is_one_line(tmp_path):
    with pytest.raises(UserError, match="training diverged at step"):
        train(small(**{"training.lr": 1e12, "training.optimizer": "momentum"}), output=str(tmp_path / "run"))


def test_runs_are_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = small(**{"training.epochs": 1})
    assert [str(train(config).folder) for _ in range(2)] == ["runs/imae-digits-1", "runs/imae-digits-2"]


def test_the_callers_random_state_is_left_alone(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(small(**{"training.epochs": 1}), output=str(tmp_path / "run"))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("latents", [(10, []), (0, [10]), (3, [4, 2])], ids=["z only", "y only", "two variables"])
def test_any_latents(tmp_path, latents):
    units, categories = latents
    changes = {"latents.continuous": units, "latents.categories": categories, "training.epochs": 1}
    run = train(small(**changes), output=str(tmp_path / "run"))
    assert (tmp_path / "run" / MODEL).exists()
    assert ("accuracy" in run.figures) == bool(categories)


def test_the_default_recipe_on_a_small_folder_of_any_pictures(tmp_path):
    """Nested folders, several sizes and modes, and a bad file among them."""
    torch.manual_seed(0)
    for i in range(30):
        picture = Image.effect_noise((34 + i % 9, 40), 80).convert("RGB" if i % 3 else "RGBA")
        target = tmp_path / "images" / f"part{i % 2}" / f"{i}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        picture.save(target)
    (tmp_path / "images" / "bad.png").write_text("not a picture")
    config = apply(load_recipe("imae-folder"), {
        "data.root": str(tmp_path / "images"), "training.epochs": 1, "training.batch_size": 8, "training.device": "cpu",
    })
    run = train(config, output=str(tmp_path / "run"))
    assert run.data.shape[1:] == (32, 32) and run.config.network == "conv-joint"
    assert [name for name, _ in run.data.unreadable] == ["bad.png"]
    assert run.config.data.size == 32, "what was chosen is written down"


def tried(**changes):
    return small(**{"training.restarts": 3, "training.restart_epochs": 2, "training.restart_by": "category_loss"} | changes)


def test_the_best_of_several_starts_goes_on(tmp_path):
    """What is kept is a run from that start alone, and that start has the lowest term of all."""
    run = train(tried(), output=str(tmp_path / "tried"))
    start = run.config.training.start
    assert run.config.training.restarts == 1
    terms = {}
    for s in range(3):
        alone = train(small(**{"training.start": s}), output=str(tmp_path / f"alone{s}"))
        (terms[s],) = [v for e, name, v in alone.trainer.progress.history if (e, name) == (2, "category_loss")]
    assert start == min(terms, key=terms.get) and len(set(terms.values())) == 3
    assert_same_bits(tmp_path / "tried" / MODEL, tmp_path / f"alone{start}" / MODEL)


def test_resuming_a_run_of_several_starts(tmp_path):
    train(tried(), output=str(tmp_path / "whole"))
    train(tried(**{"training.epochs": 1}), output=str(tmp_path / "short"))
    resume(tmp_path / "short", {"training.epochs": 4})
    assert_same_bits(tmp_path / "whole" / MODEL, tmp_path / "short" / MODEL)
    with pytest.raises(Interrupted):
        train(tried(), output=str(tmp_path / "cut"), reporter=StopAt(5))
    resume(tmp_path / "cut")
    assert_same_bits(tmp_path / "whole" / MODEL, tmp_path / "cut" / MODEL)


def test_an_unknown_term_to_choose_by_is_one_line(tmp_path):
    with pytest.raises(UserError, match="this objective's terms are loss, reconstruction"):
        train(tried(**{"training.restart_by": "beauty"}), output=str(tmp_path / "run"))


def test_the_memory_of_past_codes_is_resumed_bit_for_bit(tmp_path):
    settings = {"training.memory": 300, "training.epochs": 2, "training.clip_norm": 50.0}
    train(small(**settings), output=str(tmp_path / "whole"))
    with pytest.raises(Interrupted):
        train(small(**settings), output=str(tmp_path / "cut"), reporter=StopAt(5))
    resume(tmp_path / "cut")
    assert_same_bits(tmp_path / "whole" / MODEL, tmp_path / "cut" / MODEL)
    train(small(**settings | {"training.memory": 0}), output=str(tmp_path / "without"))
    a, b = (load_file(tmp_path / run / MODEL) for run in ("whole", "without"))
    assert any(not torch.equal(a[name], b[name]) for name in a)


def test_the_memory_keeps_the_newest_codes():
    memory = Memory(5, 1)
    assert len(memory.codes()[0]) == 0
    for first in (0, 3, 6):
        codes = torch.arange(first, first + 3.0)[:, None]
        memory.add(codes, -codes)
    mu, log_var = memory.codes()
    assert sorted(mu.flatten().tolist()) == [4, 5, 6, 7, 8]
    assert torch.equal(mu, -log_var)
    memory.add(torch.arange(20.0)[:, None], torch.zeros(20, 1))
    assert sorted(memory.codes()[0].flatten().tolist()) == [15, 16, 17, 18, 19]


def test_clipping_bounds_the_gradient_of_a_step(tmp_path):
    lengths = []

    class Measure(Reporter):
        def stepped(self, trainer, values):
            parts = [p.grad.norm() for p in trainer.model.parameters() if p.grad is not None]
            lengths.append(float(torch.stack(parts).norm()))

    train(small(**{"training.epochs": 1, "training.clip_norm": 0.5}), output=str(tmp_path / "run"), reporter=Measure())
    assert lengths and max(lengths) <= 0.5001


def test_the_rate_decays_after_each_epoch_from_the_one_asked_for(tmp_path):
    rates = {}

    class Rates(Reporter):
        def stepped(self, trainer, values):
            epoch = (trainer.progress.step - 1) // len(trainer.batches)
            rates.setdefault(epoch, set()).add(trainer.optimizer.param_groups[0]["lr"])

    settings = {"training.lr": 1e-3, "training.lr_decay": 0.5, "training.lr_decay_from": 1}
    train(small(**settings), output=str(tmp_path / "run"), reporter=Rates())
    assert [rates[e] for e in range(4)] == [{1e-3}, {1e-3}, {5e-4}, {2.5e-4}]
