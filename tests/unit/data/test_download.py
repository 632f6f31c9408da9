"""The official archive: fetched from a server that misbehaves, and read when it is hostile."""

import gzip
import hashlib
import io
import re
import tarfile
import threading
import time
import tracemalloc
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.config.errors import UserError
from tasks.data import imdb_archive
from tasks.data.datasets import imdb
from tasks.data.download import ARCHIVE, download
from tasks.data.imdb_archive import read_archive, read_folder
from tests.helpers.examples import examples


def archive_of(members, kind=tarfile.REGTYPE):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.type, info.linkname = len(content) if kind == tarfile.REGTYPE else 0, kind, "/etc/passwd"
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


SOUND = {
    "aclImdb/README": b"to be passed over",
    "aclImdb/train/urls_pos.txt": b"film/a\nfilm/b\n",
    "aclImdb/train/urls_neg.txt": b"film/c\n",
    "aclImdb/test/urls_pos.txt": b"film/d\n",
    "aclImdb/train/pos/0_9.txt": "schön".encode(),
    "aclImdb/train/pos/1_10.txt": b"good",
    "aclImdb/train/neg/0_1.txt": b"bad",
    "aclImdb/train/unsup/0_0.txt": b"unlabelled",
    "aclImdb/test/pos/0_8.txt": b"fine",
}
CONTENT = archive_of(SOUND)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def serve():
    """Start servers that answer with a function of the handler and the first byte that was asked for."""
    servers = []

    def start(answer):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                answer(self, int(self.headers.get("Range", "bytes=0-")[6:-1]))

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/{ARCHIVE}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def send(handler, content, status=200, length=None, **headers):
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(content) if length is None else length))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(content)


def fetch(folder, address, **changes):
    return download(folder, **{"url": address, "size": len(CONTENT), "sha256": SHA256, "loopback": True} | changes)


def refusal(folder, address, **changes):
    with pytest.raises(UserError) as caught:
        fetch(folder, address, **changes)
    assert "bundled" in str(caught.value)
    assert not (folder / ARCHIVE).exists()
    return str(caught.value)


def test_download_writes_only_the_archive(tmp_path, serve):
    seen = []
    path = fetch(
        tmp_path / "data", serve(lambda h, start: send(h, CONTENT)), on_progress=lambda *there: seen.append(there)
    )
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [file.name for file in path.parent.iterdir()] == [ARCHIVE]


@pytest.mark.failure_mode("broken-download")
def test_interrupted_download_continues(tmp_path, serve):
    asked = []

    def answer(handler, start):
        asked.append(start)
        if start:
            part = CONTENT[start:]
            send(handler, part, 206, Content_Range=f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        else:
            send(handler, CONTENT[:100], length=len(CONTENT))

    address = serve(answer)
    refusal(tmp_path, address)
    assert fetch(tmp_path, address).read_bytes() == CONTENT
    assert asked == [0, 100]


@pytest.mark.failure_mode("broken-download")
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, len(CONTENT) - 1), min_size=1, max_size=4, unique=True).map(sorted))
def test_download_interrupted_anywhere_is_completed(tmp_path_factory, serve, cuts):
    asked, ends = [], [*cuts, len(CONTENT)]
    folder = tmp_path_factory.mktemp("cut")

    def answer(handler, start):
        asked.append(start)
        part, rest = CONTENT[start : ends[len(asked) - 1]], len(CONTENT) - start
        of_all = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        send(handler, part, 206 if start else 200, length=rest, Content_Range=of_all)

    address = serve(answer)
    for _ in cuts:
        assert "peer closed connection" in refusal(folder, address)
        assert [file.name for file in folder.iterdir()] == [f"{ARCHIVE}.part"]
    assert fetch(folder, address).read_bytes() == CONTENT
    assert asked == [0, *cuts]


@pytest.mark.failure_mode("broken-download")
def test_wrong_part_file_is_deleted_and_next_download_succeeds(tmp_path, serve):
    (tmp_path / f"{ARCHIVE}.part").write_bytes(b"x" * 50)

    def answer(handler, start):
        of_all = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        send(handler, CONTENT[start:], 206 if start else 200, Content_Range=of_all)

    address = serve(answer)
    assert f"expected {SHA256}" in refusal(tmp_path, address)
    assert not list(tmp_path.iterdir())
    assert fetch(tmp_path, address).read_bytes() == CONTENT


@pytest.mark.parametrize("target", ["victim", "nowhere"])
def test_download_does_not_follow_a_link(tmp_path, serve, target):
    (tmp_path / "victim").write_bytes(CONTENT[:10])
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / f"{ARCHIVE}.part").symlink_to(tmp_path / target)
    assert fetch(folder, serve(lambda h, start: send(h, CONTENT))).read_bytes() == CONTENT
    assert not (folder / ARCHIVE).is_symlink()
    assert (tmp_path / "victim").read_bytes() == CONTENT[:10]
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.failure_mode("broken-download")
def test_server_without_ranges_restarts_the_download(tmp_path, serve):
    (tmp_path / f"{ARCHIVE}.part").write_bytes(b"x" * 50)
    assert fetch(tmp_path, serve(lambda h, start: send(h, CONTENT))).read_bytes() == CONTENT


@pytest.mark.failure_mode("broken-download")
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda h, start: send(h, b"x" * len(CONTENT)), "SHA-256"),
        (lambda h, start: send(h, b"<html>log in</html>", Content_Type="text/html"), "expected"),
        (lambda h, start: send(h, CONTENT + b"x"), "size"),
        (lambda h, start: send(h, b"no", 404), "404"),
        (lambda h, start: send(h, b"no", 500), "500"),
        (lambda h, start: time.sleep(1), "timed out"),
        (lambda h, start: send(h, b"", 302, Location="file:///etc/passwd"), "file"),
        (lambda h, start: send(h, b"", 302, Location="http://192.0.2.1/x"), "only https is allowed"),
        (lambda h, start: send(h, b"", 302, Location="/again"), "redirects"),
    ],
)
def test_wrong_response_is_rejected_and_deleted(tmp_path, serve, answer, said):
    assert said in refusal(tmp_path, serve(answer), timeout=0.5)
    assert not list(tmp_path.iterdir())


@pytest.mark.failure_mode("broken-download")
def test_oversized_response_is_deleted(tmp_path, serve):
    def endless(handler, start):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(CONTENT + b"x" * 100_000)

    assert "above the expected" in refusal(tmp_path, serve(endless))
    assert not list(tmp_path.iterdir())


def test_unreachable_server_and_plain_http_are_rejected(tmp_path):
    assert "could not be downloaded" in refusal(tmp_path, "http://127.0.0.1:1/x")
    assert "only https is allowed" in refusal(tmp_path, "http://127.0.0.1:1/x", loopback=False)


def as_rows(frame):
    return sorted(frame.astype({"label": int}).itertuples(index=False, name=None))


def test_archive_and_unpacked_directory_contain_equal_reviews(tmp_path):
    (tmp_path / ARCHIVE).write_bytes(CONTENT)
    for name, content in SOUND.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    frame = read_archive(tmp_path / ARCHIVE)
    assert list(frame.columns) == ["split", "label", "text", "group"]
    assert (
        as_rows(frame)
        == as_rows(read_folder(tmp_path / "aclImdb"))
        == [
            ("test", 1, "fine", "film/d"),
            ("train", 0, "bad", "film/c"),
            ("train", 1, "good", "film/b"),
            ("train", 1, "schön", "film/a"),
        ]
    )


@pytest.mark.failure_mode("malicious-archive")
@pytest.mark.parametrize("name", ["../evil.txt", "/tmp/evil.txt", "aclImdb/train/pos/../../../../0_9.txt"])
def test_archive_member_outside_the_directory_is_rejected(tmp_path, name):
    refused_archive(tmp_path, archive_of({**SOUND, name: b"x"}), "which the archive has not")


@pytest.mark.failure_mode("malicious-archive")
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_archive_are_rejected(tmp_path, kind):
    refused_archive(tmp_path, archive_of({"aclImdb/train/pos/0_9.txt": b""}, kind), "which the archive has not")


@pytest.mark.failure_mode("malicious-archive")
@pytest.mark.parametrize(
    "content",
    [b"", b"no tar", CONTENT[:-60], gzip.compress(b"no tar" * 999, mtime=0), archive_of({"x": b""})],
    ids=["empty", "text", "cut", "zipped text", "other members"],  # the bytes hold the time they were made at
)
def test_file_that_is_not_the_archive_is_rejected(tmp_path, content):
    refused_archive(tmp_path, content, str(tmp_path))


@pytest.mark.failure_mode("malicious-archive")
def test_archive_with_too_many_members_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(imdb_archive, "MAX_MEMBERS", 500)
    refused_archive(tmp_path, archive_of({f"aclImdb/{n}": b"" for n in range(501)}), "more than 500 members")


@pytest.mark.slow
@pytest.mark.failure_mode("malicious-archive")
def test_archive_with_a_million_members_needs_little_memory(tmp_path):
    info = tarfile.TarInfo("aclImdb/x")
    thousand = gzip.compress(info.tobuf(tarfile.USTAR_FORMAT) * 1_000, mtime=0)
    tracemalloc.start()
    try:
        refused_archive(tmp_path, thousand * 1_000, "more than 200,000 members")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


parts = st.sampled_from(
    ["aclImdb", "train", "pos", "..", ".", "", "0_9.txt", "urls_pos.txt", "/", "~", "C:", "\\", "🎬"]
)
kinds = st.sampled_from(
    [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, b"S", b"?"]
)


@pytest.mark.failure_mode("malicious-archive")
@examples(40)
@given(st.lists(st.tuples(st.lists(parts, min_size=1, max_size=5), kinds, st.binary(max_size=20)), max_size=4))
def test_any_archive_is_read_or_rejected_and_never_unpacked(tmp_path_factory, members):
    folder = tmp_path_factory.mktemp("tar")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, kind, content in members:
            info = tarfile.TarInfo("/".join(name))
            info.type, info.linkname = kind, "../../outside"
            info.size = len(content) if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(content))
    (folder / "any.tar.gz").write_bytes(packed.getvalue())
    try:
        frame = read_archive(folder / "any.tar.gz")
    except UserError as refused:
        assert str(folder) in str(refused)
    else:
        assert list(frame.columns)[:3] == ["split", "label", "text"]
    assert [file.name for file in folder.iterdir()] == ["any.tar.gz"]
    assert not list(folder.parent.glob("outside*"))


@pytest.mark.failure_mode("malicious-archive")
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("name", ["aclImdb/train/pos/0_9.txt", "aclImdb/README"])
def test_compressed_gigabyte_is_rejected_in_little_memory(tmp_path, kind, name):
    info = tarfile.TarInfo(name)
    info.size, info.type = 2**30, kind
    zeros = gzip.compress(bytes(2**24), 1, mtime=0)
    tracemalloc.start()
    try:
        refused_archive(tmp_path, gzip.compress(info.tobuf(tarfile.USTAR_FORMAT), mtime=0) + zeros * 64, str(tmp_path))
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


def test_archive_from_the_user_must_have_the_published_checksum(tmp_path, monkeypatch):
    (tmp_path / ARCHIVE).write_bytes(CONTENT)
    with pytest.raises(UserError, match=re.escape(hashlib.sha256(CONTENT).hexdigest())):
        imdb(data_folder=tmp_path)
    assert (tmp_path / ARCHIVE).read_bytes() == CONTENT
    monkeypatch.setattr("tasks.data.download.SHA256", hashlib.sha256(CONTENT).hexdigest())
    assert len(imdb(data_folder=tmp_path).frame) == len(read_archive(tmp_path / ARCHIVE))


def refused_archive(folder, content, said):
    path = folder / "evil.tar.gz"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_archive(path)
    assert said in str(caught.value)
    assert [file.name for file in folder.iterdir()] == ["evil.tar.gz"]


def test_oversized_directory_is_rejected(tmp_path, monkeypatch):
    for name, content in SOUND.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    read = sum(len(content) for name, content in SOUND.items() if "README" not in name and "unsup" not in name)
    monkeypatch.setattr(imdb_archive, "MAX_TOTAL_SIZE", read)
    assert len(read_folder(tmp_path / "aclImdb")) == 4
    monkeypatch.setattr(imdb_archive, "MAX_TOTAL_SIZE", read - 1)
    with pytest.raises(UserError, match=f"more than {read - 1:,} bytes of reviews"):
        read_folder(tmp_path / "aclImdb")
