"""The Hub through its real client: files fetched, resumed, checked and refused; no network."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hub_server import CONTENT, FILE, SHA, Repo, client
from imaetool.errors import UserError
from imaetool.zoo.hub import _quiet, split_name

GET = f"answer = fetch('a/b', '{FILE}')"
READ = f"answer = fetch('a/b', '{FILE}').read_bytes().hex()[:20]"
START = CONTENT.hex()[:20]


def blobs(home):
    """What is whole in the cache; some versions of the client keep a part under another name and go on with it."""
    return [p for p in Path(home).rglob("*") if p.is_file() and p.parent.name == "blobs" and p.suffix != ".incomplete"]


@pytest.mark.parametrize("name, place", [
    ("a/b", ("a/b", FILE)), ("a/b:c.safetensors", ("a/b", "c.safetensors")), ("a/b:d/c.safetensors", ("a/b", "d/c.safetensors")),
    ("a/b@v1.2", ("a/b@v1.2", FILE)), ("a/b@refs/pr/1:c.safetensors", ("a/b@refs/pr/1", "c.safetensors")),
    ("a", None), ("imae-mnist", None), ("./a/b", None), ("../a", None), ("/a/b", None), ("a/b/c", None), ("runs/x/model.safetensors", None),
    ("runs/model.safetensors", None), ("C:/b", None), ("https://host/a", None), ("a b/c", None), ("", None),
])  # fmt: skip
def test_names(name, place):
    assert split_name(name) == place


@pytest.mark.parametrize("name", [
    "a/b:", "a/b:c.bin", "a/b:../c.safetensors", "a/b:/c.safetensors", "a/b:d//c.safetensors", "a/b:d/./c.safetensors", "a/b:.safetensors",
    "a/b:d\\c.safetensors", "a/b:c\n.safetensors", "a/b@../x:c.safetensors", "a/b@x/", "a/b:c.pkl.safetensors.pt",
])  # fmt: skip
def test_files_outside_or_of_another_kind_are_refused(name):
    with pytest.raises(UserError) as error:
        split_name(name)
    assert "\n" not in str(error.value)


def test_help_needs_no_client():
    code = "import sys, imaetool.zoo.hub, imaetool.zoo.card, imaetool.zoo.publish; assert not {'huggingface_hub', 'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


def test_a_file_is_fetched_once_and_then_without_the_network(hub, tmp_path):
    repo = hub.repos["a/b"]
    first = repo.refs["main"]
    pinned = f"revision='{first}'"
    known = f"sha256='{SHA}', size={len(CONTENT)}"
    before, got, again = client(hub.url, tmp_path, f"answer = cached('a/b', '{FILE}')", READ, GET)
    assert before is None and got == START and Path(again).read_bytes() == CONTENT
    assert [method for method, *_ in hub.files_asked()] == ["HEAD", "GET", "HEAD"]  # a branch may have moved on
    hub.asked.clear()
    steps = (f"answer = fetch('a/b', '{FILE}', {pinned})", f"answer = fetch('a/b@{first}', '{FILE}')", f"answer = fetch('a/b', '{FILE}', {known})",
             f"answer = cached('a/b', '{FILE}')", f"answer = cached('a/b', 'none.safetensors')")  # fmt: skip
    assert client(hub.url, tmp_path, *steps) == [again] * 4 + [None] and not hub.files_asked()
    assert client("http://127.0.0.1:9", tmp_path, GET) == [again]  # nobody there
    assert client(hub.url, tmp_path, GET, HF_HUB_OFFLINE="1") == [again]
    assert client(hub.url, tmp_path, GET, IMAETOOL_OFFLINE="1") == [again] and not hub.files_asked()
    repo.commit({FILE: b"newer"})
    assert client(hub.url, tmp_path, "answer = fetch('a/b', 'model.safetensors').read_text()", steps[0]) == ["newer", again]


def test_a_cut_transfer_goes_on(hub, tmp_path):
    small = "import huggingface_hub.constants as c; c.DOWNLOAD_CHUNK_SIZE = 4096"
    hub.cuts = [20_000, 30_000]
    get = f"answer = fetch('a/b', '{FILE}', sha256='{SHA}').stat().st_size"
    assert client(hub.url, tmp_path, small, get, get, get)[-1] == len(CONTENT)  # at once, or at the next try: as the client is made
    ranges = [asked for method, _, asked in hub.files_asked() if method == "GET"]
    assert ranges[0] is None and len(ranges) == 3 and all(asked.startswith("bytes=") for asked in ranges[1:])


def test_a_transfer_that_is_always_cut_leaves_nothing(hub, tmp_path):
    hub.cuts = [0] * 10
    broken, again = client(hub.url, tmp_path, GET, "from imaetool.zoo.hub import cached; answer = cached('a/b', 'model.safetensors')")
    assert broken.startswith("UserError: the connection to ") and "broke" in broken and "run it again" in broken
    assert again is None and not blobs(tmp_path)
    hub.cuts = []
    assert client(hub.url, tmp_path, READ) == [START]


@pytest.mark.parametrize("links", ["", "1"])
def test_another_file_is_taken_out_of_use(hub, tmp_path, links):
    hub.changed[FILE] = bytes(len(CONTENT))
    steps = f"answer = fetch('a/b', '{FILE}', sha256='{SHA}')", f"answer = cached('a/b', '{FILE}')"
    env = {"HF_HUB_DISABLE_SYMLINKS": links} if links else {}
    wrong, left = client(hub.url, tmp_path, *steps, **env)
    assert wrong.startswith(f"UserError: what came from the Hub as {FILE} of a/b is not the file expected: its sha256 is ") and "removed" in wrong
    assert "\n" not in wrong and left is None and not blobs(tmp_path)
    hub.changed.clear()
    (good,) = client(hub.url, tmp_path, steps[0], **env)
    assert Path(good).read_bytes() == CONTENT
    Path(good).resolve().write_bytes(bytes(len(CONTENT)))  # it changes in the cache, and no network will help
    first = hub.repos["a/b"].refs["main"]
    pinned = f"answer = fetch('a/b', '{FILE}', revision='{first}', sha256='{SHA}')"
    wrong, absent = client(hub.url, tmp_path, pinned, pinned, HF_HUB_OFFLINE="1", **env)
    assert "removed from the cache" in wrong and "offline" in absent and not Path(good).exists()
    size = f"answer = fetch('a/b', '{FILE}', size=7)"
    good, short = client(hub.url, tmp_path, pinned, size, **env)
    assert "it has 60,000 bytes, not 7" in short


def test_every_refusal_is_a_line_of_its_own(hub, tmp_path):
    hub.repos |= {"a/gated": Repo("gated"), "a/private": Repo("private"), "a/down": Repo("500"), "a/no": Repo("403"), "a/busy": Repo("429"), "a/token": Repo("token")}
    asked = {
        "a/none": "no repository a/none at", "a/gated": "a/gated is gated: accept its terms at", "a/private": "wants a login for a/private",
        "a/down": "trouble of its own (status 500)", "a/no": "refuses model.safetensors of a/no", "a/busy": "too many requests",
        "a/token": "does not accept your token", "a/b@v9": "a/b has no revision 'v9'", "a--b..c/d": "is no name of a repository", "a/b": "a/b holds no x/y.safetensors",
    }  # fmt: skip
    steps = [f"answer = fetch({repo!r}, {'x/y.safetensors' if repo == 'a/b' else FILE!r})" for repo in asked]
    full = "import huggingface_hub.file_download as f\ndef http_get(*_, **__): raise OSError(28, 'No space left on device')\nf.http_get = http_get"
    answers = client(hub.url, tmp_path, *steps, full, GET)
    for answer, wanted in zip([*answers[:-2], answers[-1]], [*asked.values(), "the disk is full: no room in"], strict=True):
        assert answer.startswith("UserError: ") and wanted in answer and "\n" not in answer
    assert all("hf auth login" in answer for answer in answers[:3]) and "HF_HOME" in answers[-1] and not blobs(tmp_path)
    in_the_way = tmp_path / "file"
    in_the_way.write_bytes(b"")
    (answer,) = client(hub.url, in_the_way, GET)
    assert answer.startswith("UserError: cannot write ") and "set HF_HOME to a folder" in answer


def test_offline_says_what_to_do(hub, tmp_path):
    for endpoint, env in ((hub.url, {"HF_HUB_OFFLINE": "1"}), (hub.url, {"IMAETOOL_OFFLINE": "1"}), ("http://127.0.0.1:9", {})):
        (answer,) = client(endpoint, tmp_path, GET, **env)
        assert answer.startswith("UserError: offline, " if env else f"UserError: no connection to {endpoint} ")
        assert "not in the Hub cache" in answer and "--model PATH" in answer and "\n" not in answer
    assert not hub.files_asked()


TRY = "import time; time.sleep = lambda seconds: None\nfrom imaetool.__main__ import main\nmain(['traverse', '--model', 'a/b'])"


def test_the_clients_tries_are_not_shown_unless_asked_for(tmp_path):
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith(("HF_", "IMAETOOL_")) and not k.lower().endswith("_proxy")}
    kept |= {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[1])}
    for asked in ({}, {"HF_HUB_VERBOSITY": "warning"}):
        done = subprocess.run([sys.executable, "-c", TRY], env=kept | asked, capture_output=True, text=True, cwd=tmp_path)
        lines = done.stderr.splitlines()
        assert done.returncode == 1 and lines[-1].startswith("error: no connection to http://127.0.0.1:9 for model.safetensors of a/b")
        assert (len(lines) > 1) == bool(asked), done.stderr


def test_in_a_terminal_one_line_stands_while_the_client_tries_again(monkeypatch, capsys):
    from huggingface_hub.utils import logging as theirs

    log, said = theirs.get_logger("huggingface_hub.utils._http"), []
    (handler,) = logging.getLogger("huggingface_hub").handlers
    monkeypatch.setattr(handler, "emit", lambda record: said.append(record.getMessage()))
    monkeypatch.delenv("HF_HUB_VERBOSITY", raising=False)
    monkeypatch.delenv("HF_DEBUG", raising=False)
    for live in (False, True):
        monkeypatch.setattr(sys.stderr, "isatty", lambda live=live: live)
        with pytest.raises(OSError), _quiet():
            log.warning("first try")
            log.warning("second try")
            log.error("an error")
            raise OSError
        assert capsys.readouterr().err == ("the Hub does not answer yet: trying again\r\033[K" if live else "")
        log.warning("afterwards")
    assert said == ["an error", "afterwards"] * 2
