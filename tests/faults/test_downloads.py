"""Downloads: a file of weights is the right one or none, whatever a server on this machine does."""

import hashlib
import http.server
import os
import resource
import signal
import threading
import time
from types import SimpleNamespace

import pytest
from killable import fetch
from processes import Forked

from utils.data import sources
from utils.errors import UserError
from utils.representations import pretrained
from utils.store.files import sha256_file

CONTENT = os.urandom(3_000_000)
START = hashlib.sha256(CONTENT).hexdigest()[:8]


class Handler(http.server.BaseHTTPRequestHandler):
    """Sends the file, or whatever the server's `fault` says."""

    def do_GET(self):
        fault = self.server.fault
        if fault == "an error":
            self.send_error(500)
            return
        if fault == "a web page":
            self._send(b"<html>Sign in to this network</html>")
        elif fault == "altered bytes":
            self._send(CONTENT[:1000] + b"x" + CONTENT[1001:])
        elif fault == "another file":
            self._send(os.urandom(1000))
        elif fault == "too much":
            self._send(CONTENT + b"more")
        elif fault == "nothing":
            self._send(b"")
        elif fault == "half of it":
            self._send(CONTENT[: len(CONTENT) // 2], length=len(CONTENT))
        elif fault == "silence":
            self.send_response(200)
            self.end_headers()
            time.sleep(1)
        elif fault == "slowness":
            self._send_slowly()
        else:
            self._send(CONTENT)

    def _send(self, content, length=None):
        self.send_response(200)
        self.send_header("Content-Length", str(length or len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _send_slowly(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        for start in range(0, len(CONTENT), 100_000):
            try:
                self.wfile.write(CONTENT[start : start + 100_000])
            except OSError:
                return
            if start > len(CONTENT) / 2:
                self.server.half_sent.set()
            time.sleep(0.03)

    def log_message(self, *_args):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        made.fault, made.half_sent = None, threading.Event()
        thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def weights(server, monkeypatch, tmp_path):
    """A call that gets the weights from the server, into a folder of the test."""
    url = f"http://127.0.0.1:{server.server_port}/weights.pth"
    version = SimpleNamespace(IMAGENET1K_V2=SimpleNamespace(url=url))
    monkeypatch.setattr("torchvision.models.ResNet50_Weights", version)
    monkeypatch.setattr(pretrained, "_RESNET50_SHA256_START", START)
    monkeypatch.setattr(sources, "_NETWORK_TIMEOUT", 0.3)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.delenv("RESNET50_WEIGHTS", raising=False)
    return lambda: pretrained._resnet50_weights(offline=False)


FAULTS = (
    *("an error", "a web page", "altered bytes", "another file", "too much", "nothing"),
    *("half of it", "silence"),
)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_server_leaves_nothing_and_is_over_with_it(
    faults, server, weights, tmp_path, fault
):
    faults.tried()
    server.fault = fault
    with pytest.raises(UserError):
        weights()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    server.fault = None
    assert weights().read_bytes() == CONTENT
    faults.survived()


def test_a_server_that_is_not_there(faults, server, weights, monkeypatch, tmp_path):
    faults.tried()
    nobody = SimpleNamespace(IMAGENET1K_V2=SimpleNamespace(url="http://127.0.0.1:9/weights.pth"))
    monkeypatch.setattr("torchvision.models.ResNet50_Weights", nobody)
    with pytest.raises(UserError, match="refused"):
        weights()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    faults.survived()


def start(server, folder, limit=None):
    url = f"http://127.0.0.1:{server.server_port}/weights.pth"
    return Forked(fetch, url, START, folder, limit=limit)


def test_killed_half_way(faults, server, tmp_path):
    server.fault = "slowness"
    process = start(server, tmp_path)
    assert server.half_sent.wait(300)
    faults.tried()
    process.kill()
    assert not list(tmp_path.rglob("resnet50-*.pth"))
    server.fault = None
    status, said, errors = start(server, tmp_path).wait(60)
    assert status == 0, errors
    assert open(said.split()[-1], "rb").read() == CONTENT  # noqa: PTH123, SIM115
    faults.survived()


def allow_small_files_only():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))


def test_a_full_disk(faults, server, tmp_path):
    faults.tried()
    status, _, errors = start(server, tmp_path, allow_small_files_only).wait(60)
    assert status != 0
    assert "File too large" in errors
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    faults.survived()


def test_two_at_once(faults, server, tmp_path):
    server.fault = "slowness"
    faults.tried()
    processes = [start(server, tmp_path) for _ in range(2)]
    for process in processes:
        status, _, errors = process.wait(60)
        assert status == 0, errors
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sha256_file(path)[:8] in path.name or path.read_bytes() == CONTENT
    faults.survived()
