"""Downloads against a real server that truncates, stalls, lies and refuses, and against kill -9."""

from __future__ import annotations

import hashlib
import http.server
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from enpointe.checkpoints.hub import addresses, download
from enpointe.checkpoints.hub.cache import locked, read_pin
from enpointe.checkpoints.hub.download import fetch, mirrors
from enpointe.checkpoints.hub.transfer import RetryPolicy
from enpointe.core.errors import InputError, OutputError, WeightsError
from enpointe.core.progress import Progress

if TYPE_CHECKING:
    from checkpoints.conftest import Tiny

PATIENCE = RetryPolicy(timeout=10, attempts=3, first_wait=0.01, longest_wait=0.02)
forking = pytest.mark.skipif(sys.platform != "linux", reason="the other processes are forks of this one")


class Server(http.server.ThreadingHTTPServer):
    """Serves one file; `script` holds how the next requests are answered, honestly once it is used up."""

    daemon_threads = True

    def __init__(self, data: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.data = data
        self.tag = '"1"'
        self.script: list[Callable[[Handler], None]] = []
        self.requests: list[dict[str, str]] = []
        self.released = threading.Event()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    @property
    def ranges(self) -> list[str | None]:
        return [request.get("Range") for request in self.requests]

    def handle_error(self, *_: Any) -> None:
        """A client that went away is what these tests are about."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(dict(self.headers))
        answer = self.server.script.pop(0) if self.server.script else honest
        answer(self)

    def log_message(self, *_: Any) -> None:
        pass

    def start(self, status: int, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()


def honest(handler: Handler) -> None:
    data, wanted = handler.server.data, handler.headers.get("Range")
    if wanted is None or handler.headers.get("If-Range") != handler.server.tag:
        handler.start(200, Content_Length=len(data), ETag=handler.server.tag)
        handler.wfile.write(data)
        return
    begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
    if begin >= len(data):
        handler.start(416, Content_Range=f"bytes */{len(data)}")
        return
    span = f"bytes {begin}-{len(data) - 1}/{len(data)}"
    handler.start(206, Content_Length=len(data) - begin, Content_Range=span, ETag=handler.server.tag)
    handler.wfile.write(data[begin:])


def half(handler: Handler) -> None:
    data = handler.server.data
    handler.start(200, Content_Length=len(data), ETag=handler.server.tag)
    handler.wfile.write(data[: len(data) // 2])


def half_untagged(handler: Handler) -> None:
    data = handler.server.data
    handler.start(200, Content_Length=len(data))
    handler.wfile.write(data[: len(data) // 2])


def stall(handler: Handler) -> None:
    half(handler)
    handler.server.released.wait(60)


def silence(handler: Handler) -> None:
    handler.server.released.wait(60)


def drip(handler: Handler) -> None:
    handler.start(200, Content_Length=len(handler.server.data), ETag=handler.server.tag)
    for byte in handler.server.data:
        handler.wfile.write(bytes([byte]))
        if handler.server.released.wait(0.02):
            return


def whole_without_range(handler: Handler) -> None:
    handler.start(200, Content_Length=len(handler.server.data), ETag=handler.server.tag)
    handler.wfile.write(handler.server.data)


def no_length(handler: Handler) -> None:
    handler.start(200)
    handler.wfile.write(handler.server.data)


def says_too_much(handler: Handler) -> None:
    data = handler.server.data
    handler.start(200, Content_Length=len(data) + 1000, ETag=handler.server.tag)
    handler.wfile.write(data)


def says_too_little(handler: Handler) -> None:
    data = handler.server.data
    handler.start(200, Content_Length=len(data) - 1000, ETag=handler.server.tag)
    handler.wfile.write(data)


def endless(handler: Handler) -> None:
    handler.start(200)
    while True:
        handler.wfile.write(handler.server.data)


def wrong_range(handler: Handler) -> None:
    data = handler.server.data
    handler.start(206, Content_Length=len(data), Content_Range=f"bytes 0-{len(data) - 1}/{len(data)}")
    handler.wfile.write(data)


def page(handler: Handler) -> None:
    handler.start(200, Content_Type="text/html; charset=utf-8", Content_Length=6)
    handler.wfile.write(b"<html>")


def disguised_page(handler: Handler) -> None:
    handler.start(200, Content_Type="application/octet-stream", Content_Length=6)
    handler.wfile.write(b"<html>")


def zipped(handler: Handler) -> None:
    handler.start(200, Content_Encoding="gzip", Content_Length=len(handler.server.data))
    handler.wfile.write(handler.server.data)


def huge(handler: Handler) -> None:
    handler.start(200, Content_Length=10**15)
    handler.wfile.write(handler.server.data)


def status(code: int) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        handler.start(code, Content_Length=0)

    return answer


@pytest.fixture
def server(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server(tiny.data) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("ENPOINTE_MIRRORS", server.base)
        monkeypatch.setattr(download, "MIRRORS", ())
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


def assert_cached(tiny: Tiny) -> None:
    """The weights are there, pinned, from the server's very bytes, and nothing else is."""
    pin = read_pin("tiny")
    assert pin is not None
    assert pin.source_sha256 == hashlib.sha256(tiny.data).hexdigest()
    assert names(tiny) == {"tiny.safetensors", "tiny.json", "tiny.lock"}


def names(tiny: Tiny) -> set[str]:
    return {path.name for path in tiny.cache.iterdir()}


def part(tiny: Tiny) -> Path:
    return tiny.cache / "tiny.pt.part"


def test_a_download_reports_and_is_not_repeated(tiny: Tiny, server: Server) -> None:
    reports: list[Progress] = []
    path = fetch("tiny", retry=PATIENCE, report=reports.append)
    assert path == tiny.cache / "tiny.safetensors"
    assert_cached(tiny)
    assert {report.stage for report in reports} == {"downloading tiny.pt"}
    assert [report.done for report in reports] == sorted(report.done for report in reports)
    assert (reports[0].done, reports[-1].done, reports[-1].total) == (0, len(tiny.data), len(tiny.data))
    assert fetch("tiny") == path
    assert len(server.requests) == 1
    assert server.requests[0]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    ("script", "ranges"),
    [
        ([half], [None, "half"]),
        ([half, half], [None, "half", "half"]),
        ([half, status(503), honest], [None, "half", "half"]),
        ([half_untagged], [None, None]),
        ([half, whole_without_range], [None, "half"]),
        ([half, wrong_range], [None, "half", None]),
        ([status(500), status(429)], [None, None, None]),
        ([says_too_much], [None, "all", None]),
        ([no_length], [None]),
        ([whole_without_range], [None]),
    ],
    ids=lambda value: "-".join(getattr(step, "__name__", str(step)) for step in value),
)
def test_it_gets_there(
    tiny: Tiny, server: Server, script: list[Callable[[Handler], None]], ranges: list[str | None]
) -> None:
    server.script = list(script)
    fetch("tiny", retry=PATIENCE)
    assert_cached(tiny)
    offsets = {"half": len(tiny.data) // 2, "all": len(tiny.data)}
    assert server.ranges == [wanted and f"bytes={offsets[wanted]}-" for wanted in ranges]
    tagged = [request.get("If-Range") for request in server.requests if "Range" in request]
    assert set(tagged) <= {server.tag}


def test_a_file_that_changed_meanwhile_is_not_mixed(tiny: Tiny, server: Server) -> None:
    def old(handler: Handler) -> None:
        handler.start(200, Content_Length=len(tiny.data), ETag='"0"')
        handler.wfile.write(b"PK" + bytes(len(tiny.data) // 3))

    server.script = [old]
    fetch("tiny", retry=PATIENCE)
    assert_cached(tiny)


@pytest.mark.parametrize("behaviour", [stall, silence])
@pytest.mark.slow
def test_a_stalled_connection_is_given_up(tiny: Tiny, server: Server, behaviour: Callable[[Handler], None]) -> None:
    server.script = [behaviour]
    fetch("tiny", retry=RetryPolicy(timeout=1, attempts=3, first_wait=0.01))
    assert_cached(tiny)
    assert server.ranges[1:] == [f"bytes={len(tiny.data) // 2}-" if behaviour is stall else None]


def test_a_drip_is_given_up(tiny: Tiny, server: Server) -> None:
    server.script = [drip]
    fetch("tiny", retry=RetryPolicy(timeout=1, attempts=3, first_wait=0.01, slowest=10_000))
    assert_cached(tiny)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("behaviour", "requests", "words"),
    [
        (status(404), 1, "HTTP 404"),
        (status(403), 1, "HTTP 403"),
        (status(500), 3, "HTTP 500 Internal Server Error, after 3 attempts"),
        (page, 1, "a page of type text/html"),
        (disguised_page, 1, "begins with b'<html>'"),
        (zipped, 1, "encoded as gzip"),
        (huge, 1, "found a file of 1000000000000000"),
        (says_too_little, 1, "truncated"),
        (endless, 1, "found more"),
        (silence, 3, "no answer in time"),
    ],
)
@pytest.mark.slow
def test_what_does_not_work_is_said(
    tiny: Tiny,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    behaviour: Callable[[Handler], None],
    requests: int,
    words: str,
) -> None:
    monkeypatch.setattr(download, "_SLACK", 100_000)
    server.script = [behaviour] * 3
    with pytest.raises(WeightsError) as raised:
        fetch("tiny", retry=RetryPolicy(timeout=0.5, attempts=3, first_wait=0.01))
    assert len(server.requests) == requests
    assert words in str(raised.value)
    assert f"{server.base}tiny.pt" in str(raised.value)
    assert "enpointe models import tiny.pt --as tiny" in str(raised.value)
    assert not (tiny.cache / "tiny.safetensors").exists()
    assert read_pin("tiny") is None


def test_a_refused_file_leaves_nothing(tiny: Tiny, server: Server) -> None:
    server.script = [says_too_little]
    with pytest.raises(WeightsError):
        fetch("tiny", retry=PATIENCE)
    assert names(tiny) == {"tiny.lock"}


@pytest.mark.parametrize("behaviour", [status(404), page, says_too_little, status(502)])
def test_the_next_mirror_is_asked(
    tiny: Tiny, server: Server, monkeypatch: pytest.MonkeyPatch, behaviour: Callable[[Handler], None]
) -> None:
    monkeypatch.setenv("ENPOINTE_MIRRORS", f"http://127.0.0.1:9, {server.base}bad {server.base}good/")
    paths: list[str] = []

    def bad_is_bad(handler: Handler) -> None:
        paths.append(handler.path)
        (behaviour if handler.path.startswith("/bad/") else honest)(handler)

    server.script = [bad_is_bad] * 10
    fetch("tiny", retry=PATIENCE)
    assert_cached(tiny)
    assert paths[0] == "/bad/tiny.pt"
    assert paths[-1] == "/good/tiny.pt"
    pin = read_pin("tiny")
    assert pin is not None
    assert pin.source == f"{server.base}good/tiny.pt"


def test_what_was_received_survives_a_failure(tiny: Tiny, server: Server) -> None:
    server.script = [half, status(404)]
    with pytest.raises(WeightsError, match="HTTP 404"):
        fetch("tiny", retry=PATIENCE)
    assert part(tiny).read_bytes() == tiny.data[: len(tiny.data) // 2]
    fetch("tiny", retry=PATIENCE)
    assert_cached(tiny)
    assert server.ranges[-1] == f"bytes={len(tiny.data) // 2}-"


def test_no_server_at_all(tiny: Tiny) -> None:
    start = time.monotonic()
    with pytest.raises(WeightsError, match=r"[Rr]efused.*models import tiny\.pt --as tiny"):
        fetch("tiny", retry=PATIENCE)
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("variable", ["ENPOINTE_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline(tiny: Tiny, server: Server, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(WeightsError, match=r"ENPOINTE_OFFLINE.*models import tiny\.pt --as tiny"):
        fetch("tiny", retry=PATIENCE)
    assert server.requests == []
    assert not tiny.cache.exists()
    monkeypatch.setenv(variable, "0")
    fetch("tiny", retry=PATIENCE)
    monkeypatch.setenv(variable, "1")
    fetch("tiny")  # what is here needs no network
    assert len(server.requests) == 1


def test_no_room(tiny: Tiny, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    free = 2 * len(tiny.data) - 1  # the download and what it is converted to
    usage = shutil.disk_usage(Path.cwd())._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(OutputError, match="ENPOINTE_CACHE names another folder"):
        fetch("tiny", retry=PATIENCE)
    assert names(tiny) == {"tiny.lock"}
    assert len(server.requests) == 1


def test_the_pin_outlives_the_weights(tiny: Tiny, server: Server) -> None:
    fetch("tiny", retry=PATIENCE)
    (tiny.cache / "tiny.safetensors").unlink()
    fetch("tiny", retry=PATIENCE)
    (tiny.cache / "tiny.safetensors").unlink()
    server.data = tiny.data + b"\0"  # still a checkpoint, but another file
    server.tag = '"2"'
    with pytest.raises(WeightsError, match=r"expected SHA-256 .*--again"):
        fetch("tiny", retry=PATIENCE)
    assert names(tiny) == {"tiny.json", "tiny.lock"}
    fetch("tiny", again=True, retry=PATIENCE)
    pin = read_pin("tiny")
    assert pin is not None
    assert pin.source_sha256 == hashlib.sha256(server.data).hexdigest()


def test_mirrors_come_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENPOINTE_MIRRORS", "https://one.example/a,http://two.example/")
    assert mirrors() == ("https://one.example/a/", "http://two.example/", *addresses.MIRRORS)
    assert all(base.startswith("https://") for base in addresses.MIRRORS)
    monkeypatch.setenv("ENPOINTE_MIRRORS", "file:///etc")
    with pytest.raises(InputError, match="expected http or https"):
        mirrors()


def test_waits_grow_to_a_limit() -> None:
    retry = RetryPolicy(first_wait=1, longest_wait=5)
    for failures, longest in ((1, 1), (2, 2), (3, 4), (4, 5), (9, 5)):
        waits = [retry.wait(failures) for _ in range(50)]
        assert longest / 2 <= min(waits) < max(waits) <= longest


@forking
def test_kill_9_and_resume(tiny: Tiny, server: Server) -> None:
    server.script = [stall]
    child = multiprocessing.get_context("fork").Process(target=fetch, args=("tiny",))
    child.start()
    wait_until(lambda: part(tiny).exists() and part(tiny).stat().st_size >= len(tiny.data) // 2)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join(10)
    assert child.exitcode == -signal.SIGKILL
    fetch("tiny", retry=PATIENCE)  # the lock went with its holder
    assert_cached(tiny)
    assert server.ranges == [None, f"bytes={len(tiny.data) // 2}-"]


@forking
def test_two_processes_download_once(tiny: Tiny, server: Server) -> None:
    def slowly(handler: Handler) -> None:
        time.sleep(0.5)
        honest(handler)

    server.script = [slowly]
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=fetch, args=("tiny",)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(30)
    assert [child.exitcode for child in children] == [0, 0]
    assert_cached(tiny)
    assert len(server.requests) == 1


def test_waiting_for_another_process_is_reported(tiny: Tiny, server: Server) -> None:
    reports: list[Progress] = []
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with locked("tiny", lambda: None):
            held.set()
            done.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)

    def told(report: Progress) -> None:
        reports.append(report)
        done.set()

    fetch("tiny", retry=PATIENCE, report=told)
    holder.join()
    assert reports[0].stage == "waiting for another process that holds tiny"
    assert_cached(tiny)
    assert len(server.requests) == 1


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
