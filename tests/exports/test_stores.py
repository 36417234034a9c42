"""Files of exports in a folder and in an object store, a local server that speaks S3."""

from __future__ import annotations

import logging
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from moto.server import ThreadedMotoServer

from api.export_client import EXPORTS, ExportClient, export_client
from clubs import ManualClock
from regulars.core.errors import MissingDependencyError
from regulars.exports import cleanup, stores
from regulars.exports.stores import FolderStore, ObjectStore, StoreError, open_store
from regulars.settings import Settings
from regulars.storage.database import Database

STORE = "s3://exports/regulars"


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[ThreadedMotoServer, str]]:
    """A server with a bucket, and its address."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    address = f"http://{host}:{port}"
    with urllib.request.urlopen(urllib.request.Request(f"{address}/exports", method="PUT"), timeout=10):  # noqa: S310
        pass
    yield running, address
    running.stop()


@pytest.fixture
def environment(server: tuple[ThreadedMotoServer, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Sets endpoint and credentials; returns the endpoint."""
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "someone"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-north-1"),
        ("AWS_ENDPOINT_URL", server[1]),
        ("AWS_ALLOW_HTTP", "true"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(stores, "_RETRIES", {"max_retries": 0})
    return server[1]


@pytest_asyncio.fixture
async def client(database: Database, clock: ManualClock, environment: str) -> AsyncIterator[ExportClient]:
    """A client whose files are in the object store."""
    async with export_client(database, clock, export_store=STORE) as found:
        yield found


def paths(store: ObjectStore | FolderStore) -> list[str]:
    """The files in a store."""
    return sorted(each.path for each in store.list_files())


def unfinished_uploads(endpoint: str) -> bool:
    """Whether the server has parts of uploads that were neither completed nor aborted."""
    with urllib.request.urlopen(f"{endpoint}/exports?uploads", timeout=10) as answer:  # noqa: S310
        return b"<Upload>" in answer.read()


async def test_an_object_is_uploaded_in_parts_and_read_in_ranges(
    environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "_PART_BYTES", 5 * 1024 * 1024)
    store = ObjectStore(f"{STORE}/parts")
    content = bytes(range(256)) * 40_000
    file = store.create("a/big.bin")
    for start in range(0, len(content), 700_000):
        assert file.write(memoryview(content)[start : start + 700_000]) == len(content[start : start + 700_000])
    file.flush()
    assert paths(store) == []
    file.complete()
    assert paths(store) == ["a/big.bin"]
    chunks = [chunk async for chunk in await store.read("a/big.bin", 5, 10_000_000)]
    assert b"".join(chunks) == content[5:10_000_000]
    assert len(chunks) > 1
    store.delete("a/big.bin")
    store.delete("a/big.bin")
    assert paths(store) == []


def test_a_discarded_upload_leaves_nothing(environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "_PART_BYTES", 5 * 1024 * 1024)
    store = ObjectStore(f"{STORE}/discarded")
    file = store.create("a.bin")
    for _ in range(8):
        file.write(bytes(1_500_000))
    file.discard()
    assert paths(store) == []
    # The store aborts the upload after the thread has ended.
    deadline = time.monotonic() + 60
    while unfinished_uploads(environment):
        assert time.monotonic() < deadline


def test_a_complete_file_can_be_discarded(environment: str, tmp_path: Path) -> None:
    for store in (FolderStore(tmp_path), ObjectStore(f"{STORE}/complete")):
        for path in ("a.csv", "b.csv"):
            file = store.create(path)
            file.write(b"abc")
            file.complete()
        file.discard()
        assert paths(store) == ["a.csv"]
        store.delete("a.csv")


def test_errors_of_a_store_name_it(environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = ObjectStore("s3://nowhere")
    file = missing.create("a.csv")
    file.write(b"x")
    with pytest.raises(StoreError, match=r"^s3://nowhere/a\.csv can't be written: .*404"):
        file.complete()
    file.discard()
    with pytest.raises(StoreError, match=r"^s3://nowhere/a\.csv can't be written: "):
        file.write(bytes(2_000_000))
    with pytest.raises(StoreError, match=r"^s3://nowhere can't be read: "):
        missing.list_files()
    with pytest.raises(StoreError, match=r"^Unsupported URL ftp://a\. Use s3://, gs://, az://"):
        open_store(Settings(), "ftp://a")
    with pytest.raises(StoreError, match=r"can't be opened"):
        open_store(Settings(), "az://container")
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'regulars\[lake\]'"):
        open_store(Settings(), STORE)


def test_other_errors_are_defects() -> None:
    with pytest.raises(ZeroDivisionError), stores._convert_errors("s3://a", "read"):
        raise ZeroDivisionError


def test_no_path_leads_out_of_the_folder(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "exports")
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "link").symlink_to(tmp_path)
    for path in ("../x", "/etc/passwd", "a/../../x", "link/x", ""):
        for use in (store.create, store.delete):
            with pytest.raises(StoreError, match="is not within"):
                use(path)


def test_a_file_in_a_folder_is_visible_when_it_is_complete(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    file = store.create("1/a.csv")
    file.write(b"abc")
    file.flush()
    assert paths(store) == ["1/a.csv.part"]
    file.complete()
    assert paths(store) == ["1/a.csv"]
    assert (tmp_path / "1" / "a.csv").stat().st_mode & 0o077 == 0
    (tmp_path / "2").write_text("a file where a folder would be")
    with pytest.raises(StoreError, match=r"can't be written: (Not a directory|File exists)\.$"):
        store.create("2/a.csv")


async def test_an_export_is_downloaded_from_the_store(client: ExportClient, environment: str) -> None:
    done = await client.done()
    store = ObjectStore(STORE)
    assert paths(store) == [f"{client.organization_id}/{done['file_name']}"]
    assert client.files() == []
    path = f"/{done['id']}/file"
    whole = await client.get(path)
    assert whole.status_code == 200
    assert whole.headers["content-length"] == str(done["bytes"])
    assert whole.headers["content-disposition"] == f'attachment; filename="{done["file_name"]}"'
    content = whole.content
    for text, expected in (
        ("bytes=3-9", content[3:10]),
        ("bytes=5-", content[5:]),
        ("bytes=-4", content[-4:]),
        ("bytes=-9999", content),
        (f"bytes=2-{len(content) + 5}", content[2:]),
    ):
        part = await client.get(path, Range=text)
        assert (part.status_code, part.content) == (206, expected), text
        start = len(content) - len(expected) if text.startswith("bytes=-") else int(text[6])
        assert part.headers["content-range"] == f"bytes {start}-{start + len(expected) - 1}/{len(content)}"
    beyond = await client.get(path, Range=f"bytes={len(content)}-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(content)}")
    for headers in ({"Range": "bytes=0-1,4-5"}, {"Range": "bytes=0-1", "If-Range": '"other"'}):
        assert (await client.get(path, **headers)).content == content
    head = await client.reporting.http.head(
        f"{EXPORTS}{path}", headers={"X-Client-Authorization": client.reporting.token}
    )
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(content)))
    store.delete(f"{client.organization_id}/{done['file_name']}")
    gone = await client.get(path)
    assert gone.status_code == 503
    assert "can't be read" in gone.json()["error"]


async def test_exports_in_the_store_expire_and_orphans_are_deleted(
    client: ExportClient, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = await client.done()
    store = ObjectStore(STORE)
    orphan = store.create(f"{client.organization_id}/orphan.csv")
    orphan.write(b"x")
    orphan.complete()
    monkeypatch.setattr(cleanup, "ORPHAN_SECONDS", -1.0)
    await cleanup.delete_orphans(client.database, client.settings)
    assert paths(store) == [f"{client.organization_id}/{done['file_name']}"]
    clock.advance(days=7)
    await cleanup.delete_expired(client.database, client.settings)
    assert paths(store) == []


async def test_files_of_others_in_the_store_are_no_orphans(
    client: ExportClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = await client.done()
    store = ObjectStore(STORE)
    for path in ("partner/drop/weekly.csv", "weekly.csv"):
        file = store.create(path)
        file.write(b"x")
        file.complete()
    monkeypatch.setattr(cleanup, "ORPHAN_SECONDS", -1.0)
    # The same store, spelled otherwise.
    settings = replace(client.settings, export_store=f"{STORE}/")
    assert await cleanup.delete_orphans(client.database, settings) == 0
    own = f"{client.organization_id}/{done['file_name']}"
    assert paths(store) == sorted([own, "partner/drop/weekly.csv", "weekly.csv"])
    for path in paths(store):
        store.delete(path)


async def test_exports_in_a_former_store_expire(client: ExportClient, clock: ManualClock) -> None:
    await client.done()
    settings = replace(client.settings, export_store="")
    clock.advance(days=7)
    assert await cleanup.delete_expired(client.database, settings) == 1
    assert paths(ObjectStore(STORE)) == []


async def test_exports_in_a_store_that_is_down_do_not_hold_up_the_expiry_of_others(
    client: ExportClient, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    down, attempts = "s3://exports/down", []
    first, second, third = [await client.done() for _ in range(3)]
    async with client.database.organization_transaction(client.organization_id) as connection:
        await connection.execute(
            "UPDATE exports SET location = $1 WHERE id = ANY ($2)", down, [first["id"], second["id"]]
        )
    clock.advance(days=7)

    def open_(settings: Settings, location: str) -> stores.ExportStore:
        if location == down:
            attempts.append(location)
            raise StoreError(f"{location} can't be opened: down.")
        return open_store(settings, location)

    monkeypatch.setattr(cleanup, "BATCH_EXPORTS", 1)
    with monkeypatch.context() as patched:
        patched.setattr(cleanup, "open_store", open_)
        assert await cleanup.delete_expired(client.database, client.settings) == 1
    assert attempts == [down]
    assert (await client.read(first))["status"] == "done"
    assert (await client.get(f"/{third['id']}")).status_code == 404
    assert await cleanup.delete_expired(client.database, client.settings) == 2
    for each in (first, second):
        ObjectStore(STORE).delete(f"{client.organization_id}/{each['file_name']}")


async def test_a_store_that_is_down_is_retried_and_then_the_reason_is_shown(
    client: ExportClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    failed = await client.done()
    assert (failed["status"], failed["attempts"]) == ("failed", 3)
    assert failed["error"].startswith(f"{STORE}/{client.organization_id}/samples-")
    assert "can't be written" in failed["error"]
    # It can't be deleted while the store may have a file of it.
    denied = await client.delete(failed)
    assert denied.status_code == 503
    assert (await client.read(failed))["status"] == "failed"


async def test_a_store_that_is_up_again_gets_the_export(client: ExportClient, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = stores.ObjectStore.create
    failures = iter([StoreError(f"{STORE} can't be written: down.")])

    def create(self: ObjectStore, path: str) -> stores.ObjectFile:
        for failure in failures:
            raise failure
        return opened(self, path)

    monkeypatch.setattr(stores.ObjectStore, "create", create)
    done = await client.done()
    assert (done["status"], done["attempts"], done["error"]) == ("done", 2, None)
