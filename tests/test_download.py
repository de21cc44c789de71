"""Downloads from a local server: cut, resumed, killed, wrong, missing; nothing that looks whole is left behind."""

import gzip
import hashlib
import io
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from imaetool.data import download, progress
from imaetool.data.catalogue import Dataset, File
from imaetool.data.download import DownloadError, fetch
from imaetool.data.fetching import fetch_dataset, verify_dataset

CONTENT = random.Random(0).randbytes(1_500_000)
SHA = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT with ranges; the server's settings say how badly."""

    def do_GET(self):
        server, content = self.server, self.server.content
        server.asked.append(self.headers.get("Range"))
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        start = 0
        if server.ranges and (match := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")):
            if self.headers.get("If-Range") in (None, server.tag):
                start = int(match[1])
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content) if server.tells else '*'}")
        if server.tag:
            self.send_header("ETag", server.tag)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = len(content) if not server.cuts else min(len(content), start + server.cuts.pop(0))
        try:
            for at in range(start, end, 16_384):
                self.wfile.write(content[at : min(end, at + 16_384)])
                if server.pause:
                    time.sleep(server.pause)
        except OSError:
            pass

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in ("IMAETOOL_OFFLINE", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.content, server.asked, server.cuts = CONTENT, [], []
    server.ranges, server.tag, server.pause, server.tells = True, '"one"', 0.0, True
    server.url = f"http://127.0.0.1:{server.server_port}/file.bin"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def names(folder):
    return sorted(os.listdir(folder))


def test_a_file_arrives_whole_and_alone(server, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(progress, "listener", lambda *call: told.append(call))
    path = fetch(server.url, tmp_path / "new" / "file.bin", sha256=SHA, size=len(CONTENT))
    assert path.read_bytes() == CONTENT and names(path.parent) == ["file.bin"]
    assert told[-1] == ("fetching file.bin", len(CONTENT), len(CONTENT))
    fetch(server.url, path, sha256=SHA)
    assert len(server.asked) == 1


def test_md5_will_do(server, tmp_path):
    fetch(server.url, tmp_path / "f", md5=hashlib.md5(CONTENT).hexdigest())


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_download_goes_on(server, tmp_path, ranges):
    server.cuts, server.ranges = [400_000, 500_000 if ranges else 2_000_000], ranges
    assert fetch(server.url, tmp_path / "f", sha256=SHA).read_bytes() == CONTENT
    assert server.asked[:2] == [None, "bytes=400000-"]


def test_a_rest_of_unknown_total_is_still_counted(server, tmp_path):
    server.tells, server.cuts = False, [400_000, 300_000]
    assert fetch(server.url, tmp_path / "f").read_bytes() == CONTENT  # no checksum, no size known beforehand
    assert server.asked == [None, "bytes=400000-", "bytes=700000-"]


def test_without_a_checksum_only_the_same_version_is_resumed(server, tmp_path):
    server.cuts, server.tag = [400_000], ""
    assert fetch(server.url, tmp_path / "f").read_bytes() == CONTENT
    assert server.asked == [None, None]
    server.asked.clear()
    server.cuts, server.tag = [400_000], '"two"'
    assert fetch(server.url, tmp_path / "g").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=400000-"]


def test_a_part_of_another_version_is_not_continued(server, tmp_path):
    server.cuts = [400_000]
    with pytest.raises(DownloadError):
        fetch(server.url, tmp_path / "f", attempts=1)
    assert names(tmp_path) == [".f.part", ".f.part.json"]
    server.content, server.tag = CONTENT[::-1], '"two"'
    assert fetch(server.url, tmp_path / "f").read_bytes() == CONTENT[::-1]


def test_a_part_that_is_too_long_is_thrown_away(server, tmp_path):
    (tmp_path / ".f.part").write_bytes(bytes(len(CONTENT) + 5))
    assert fetch(server.url, tmp_path / "f", sha256=SHA).read_bytes() == CONTENT


def test_a_whole_part_is_taken(server, tmp_path):
    (tmp_path / ".f.part").write_bytes(CONTENT)
    assert fetch(server.url, tmp_path / "f", sha256=SHA, size=len(CONTENT)).read_bytes() == CONTENT


def test_another_file_is_removed_and_the_next_address_tried(server, tmp_path):
    with pytest.raises(DownloadError, match=r"its sha256 is .*, not 0000.*removed.*put f at .*f \(it is at http") as error:
        fetch(server.url, tmp_path / "f", sha256="0" * 64)
    assert "\n" not in str(error.value)
    assert [p.stat().st_size for p in tmp_path.glob(".f.part")] == [0] and not (tmp_path / "f").exists()
    missing = server.url.replace("file", "missing")
    assert fetch([missing, server.url], tmp_path / "f", sha256=SHA).read_bytes() == CONTENT


def test_a_missing_file_and_a_wrong_size(server, tmp_path):
    with pytest.raises(DownloadError, match="answers 404.*put f at"):
        fetch(server.url.replace("file", "missing"), tmp_path / "f")
    with pytest.raises(DownloadError, match="has 1,500,000 bytes, not 7"):
        fetch(server.url, tmp_path / "f", size=7)


def test_no_network(tmp_path, monkeypatch):
    def nowhere(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    monkeypatch.delenv("IMAETOOL_OFFLINE", raising=False)
    with pytest.raises(DownloadError, match="no network, or no such host: example.org; put f at .* https://example.org/f"):
        fetch("https://example.org/f", tmp_path / "f")
    monkeypatch.setenv("IMAETOOL_OFFLINE", "1")
    with pytest.raises(DownloadError, match="offline: put f at"):
        fetch("https://example.org/f", tmp_path / "f")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "nonsense", "data:,hello"])
def test_only_the_web_is_fetched(tmp_path, url):
    with pytest.raises(DownloadError, match="only http and https"):
        fetch(url, tmp_path / "f")


def test_a_full_disk(server, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download, "_copy", full)
    with pytest.raises(DownloadError, match="the disk is full; make room"):
        fetch(server.url, tmp_path / "f", sha256=SHA)
    assert not (tmp_path / "f").exists()


CODE = "import sys; from imaetool.data.download import fetch; fetch(sys.argv[1], sys.argv[2], sha256=sys.argv[3])"


def start(server, path):
    return subprocess.Popen([sys.executable, "-c", CODE, server.url, str(path), SHA], stderr=subprocess.DEVNULL)


def test_two_processes_at_once(server, tmp_path):
    server.pause = 0.001
    running = [start(server, tmp_path / "f") for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert (tmp_path / "f").read_bytes() == CONTENT and names(tmp_path) == ["f"] and len(server.asked) == 1


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")
def test_killed_at_random_moments(server, tmp_path):
    server.pause, pick, killed = 0.003, random.Random(1), 0
    for number in range(5):
        path = tmp_path / str(number) / "f"
        process = start(server, path)
        while not path.with_name(".f.part").exists() and process.poll() is None:
            time.sleep(0.005)
        time.sleep(pick.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        assert not path.exists() or path.read_bytes() == CONTENT
        assert start(server, path).wait() == 0
        assert path.read_bytes() == CONTENT and names(path.parent) == ["f"]
    assert killed


def a_dataset(server, content, path, unpacked):
    server.content = content
    file = File(path, (server.url,), len(content), hashlib.md5(content).hexdigest(), "", unpacked, hashlib.sha256(CONTENT).hexdigest())
    return Dataset("x", "x", "1", (1, 1, 1), "none", "", files=(file,))


def test_a_dataset_is_fetched_unpacked_and_verified(server, tmp_path):
    entry = a_dataset(server, gzip.compress(CONTENT), "X/raw/images.gz", "X/raw/images")
    threads = [threading.Thread(target=fetch_dataset, args=(entry, str(tmp_path))) for _ in range(3)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert names(tmp_path / "X" / "raw") == ["images"] and (tmp_path / "X/raw/images").read_bytes() == CONTENT
    assert [(path.name, state) for path, state, _ in verify_dataset(entry, str(tmp_path))] == [("images", "right")]
    (tmp_path / "X/raw/images").write_bytes(b"other")
    assert [state for _, state, _ in verify_dataset(entry, str(tmp_path))] == ["wrong"]


@pytest.mark.parametrize("folder", ["x-bin/", "other/", ""])
def test_an_archive_is_unpacked_to_its_folder(server, tmp_path, folder):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as out:
        for name in ("a.bin", "b.txt"):
            info = tarfile.TarInfo(folder + name)
            info.size = 5
            out.addfile(info, io.BytesIO(b"bytes"))
    entry = a_dataset(server, packed.getvalue(), "x.tar.gz", "x-bin")
    for _ in range(2):
        assert fetch_dataset(entry, str(tmp_path)) == [tmp_path / "x-bin"]
    assert names(tmp_path) == ["x-bin"] and names(tmp_path / "x-bin") == ["a.bin", "b.txt"]
