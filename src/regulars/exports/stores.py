"""Where the files of exports are stored: the data folder, or an object store."""

import os
import queue
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import urlsplit

from regulars.core.errors import MissingDependencyError
from regulars.offline.object_stores import SCHEMES, error_summary
from regulars.settings import Settings

FOLDER_LOCATION = ""
"""The location of files in the data folder."""

PARTIAL_SUFFIX = ".part"

_RETRIES: Any = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}

_PART_BYTES = 8 * 1024 * 1024
_CONCURRENT_PARTS = 2
"""Parts of an upload that are in memory and sent at the same time."""

_CHUNK_BYTES = 1024 * 1024
_QUEUED_CHUNKS = 4
_ALIVE_CHECK_SECONDS = 0.2

_READ_BYTES = 1024 * 1024


class StoreError(Exception):
    """A store can't be read or written. The message names it and says why."""


class PartialFile(Protocol):
    """A file that is being written. It is not visible until it is complete. Methods block, so they run in threads."""

    def write(self, data: Any) -> int:
        """Appends data and returns its length in bytes."""

    def flush(self) -> None:
        """Does nothing: data is flushed when the file is complete."""

    def complete(self) -> None:
        """Makes the file visible under its path."""

    def discard(self) -> None:
        """Removes what was written, also if it is complete."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in a store; `modified_at` is a Unix time."""

    path: str
    modified_at: float


class ExportStore(Protocol):
    """A place for files. Paths are relative to it. Methods block, so they run in threads; all raise StoreError."""

    def create(self, path: str) -> PartialFile:
        """Starts to write a file."""

    def delete(self, path: str) -> None:
        """Deletes a file and what a dead process has written of it. A missing one is no error."""

    def list_files(self) -> Sequence[StoredFile]:
        """Lists all files, partial ones included as far as the store shows them."""


def open_store(settings: Settings, location: str) -> ExportStore:
    """Opens the store of a location. Raises StoreError for an unsupported URL, MissingDependencyError."""
    return FolderStore(export_folder(settings)) if location == FOLDER_LOCATION else ObjectStore(location)


def export_folder(settings: Settings) -> Path:
    """The folder of exports within the data folder."""
    return settings.data_dir / "exports"


# The data folder ----------------------------------------------------------------------------------------------


class FolderStore:
    """Files in a folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def create(self, path: str) -> "FolderFile":
        """Starts to write a file."""
        target = self.resolve(path)
        with _convert_errors(str(target), "written"):
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            return FolderFile(target)

    def resolve(self, path: str) -> Path:
        """The file of a path. Raises StoreError for a path that leads out of the folder, also by a symbolic link."""
        root = self._root.resolve()
        target = (root / path).resolve()
        if not target.is_relative_to(root) or target == root:
            raise StoreError(f"{path} is not within {root}.")
        return target

    def delete(self, path: str) -> None:
        """Deletes a file and what a dead process has written of it. A missing one is no error."""
        target = self.resolve(path)
        with _convert_errors(str(target), "deleted"):
            for each in (target, _partial(target)):
                each.unlink(missing_ok=True)

    def list_files(self) -> Sequence[StoredFile]:
        """Lists all files, partial ones included."""
        found = []
        for folder, _, names in os.walk(self._root):
            for name in names:
                file = Path(folder, name)
                # Another process may delete the file meanwhile.
                with suppress(FileNotFoundError):
                    found.append(StoredFile(str(file.relative_to(self._root)), file.stat().st_mtime))
        return found


def _partial(target: Path) -> Path:
    return target.with_name(target.name + PARTIAL_SUFFIX)


def open_partial(path: Path) -> BinaryIO:
    """Opens a file for writing that only the owner of the process may read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


class FolderFile:
    """A file in a folder, written under another name until it is complete."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._path = _partial(target)
        self._file = open_partial(self._path)

    def write(self, data: Any) -> int:
        """Appends data and returns its length in bytes."""
        with _convert_errors(str(self._target), "written"):
            return self._file.write(data)

    def flush(self) -> None:
        """Does nothing: data is flushed when the file is complete."""

    def complete(self) -> None:
        """Makes the file visible under its path, once it is on disk."""
        with _convert_errors(str(self._target), "written"):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._path = self._path.rename(self._target)

    def discard(self) -> None:
        """Removes what was written, also if it is complete."""
        # Closing flushes, which fails again on a full disk.
        with suppress(OSError):
            self._file.close()
        self._path.unlink(missing_ok=True)


# Object stores ------------------------------------------------------------------------------------------------


class ObjectStore:
    """Files below a URL such as s3://bucket/prefix. Endpoint and credentials come from the environment."""

    def __init__(self, url: str) -> None:
        if urlsplit(url).scheme not in SCHEMES:
            known = ", ".join(f"{each}://" for each in SCHEMES)
            raise StoreError(f"Unsupported URL {url}. Use {known} with a bucket and a prefix.")
        try:
            from obstore.store import from_url
        except ImportError:
            raise MissingDependencyError(
                f"{url} needs an extra: pip install 'regulars[lake]'. Or unset REGULARS_EXPORT_STORE."
            ) from None
        self._url = url.rstrip("/")
        with _convert_errors(url, "opened"):
            self._store = from_url(self._url, retry_config=_RETRIES)

    def create(self, path: str) -> "ObjectFile":
        """Starts an upload in parts."""
        return ObjectFile(self._store, path, f"{self._url}/{path}")

    def delete(self, path: str) -> None:
        """Deletes an object. A missing one is no error."""
        _delete_object(self._store, path, f"{self._url}/{path}")

    def list_files(self) -> Sequence[StoredFile]:
        """Lists all objects. Uploads that are not complete are not shown by the store."""
        import obstore

        with _convert_errors(self._url, "read"):
            return [
                StoredFile(each["path"], each["last_modified"].timestamp())
                for batch in obstore.list(self._store)
                for each in batch
            ]

    async def read(self, path: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Opens an object from the byte `start` to before `end`. Raises StoreError if it can't be read."""
        import obstore

        with _convert_errors(f"{self._url}/{path}", "read"):
            found = await obstore.get_async(self._store, path, options={"range": (start, end)})
        return self._chunks(path, found)

    async def _chunks(self, path: str, found: Any) -> AsyncIterator[bytes]:
        with _convert_errors(f"{self._url}/{path}", "read"):
            async for chunk in found.stream(min_chunk_size=_READ_BYTES):
                yield bytes(chunk)


def _delete_object(store: Any, path: str, url: str) -> None:
    import obstore

    with _convert_errors(url, "deleted"), suppress(FileNotFoundError):
        obstore.delete(store, path)


class _DiscardedError(Exception):
    """Ends an upload, so that the store deletes its parts."""


class ObjectFile:
    """An object that a thread uploads in parts while it is written. It exists once it is complete."""

    def __init__(self, store: Any, path: str, url: str) -> None:
        self._store = store
        self._path = path
        self._url = url
        self._buffer = bytearray()
        self._chunks: queue.Queue[bytes | None] = queue.Queue(_QUEUED_CHUNKS)
        self._error: Exception | None = None
        self._is_discarded = False
        self._thread = threading.Thread(target=self._upload, name="upload", daemon=True)
        self._thread.start()

    def write(self, data: Any) -> int:
        """Appends data and returns its length in bytes."""
        before = len(self._buffer)
        self._buffer += data
        length = len(self._buffer) - before
        if len(self._buffer) >= _CHUNK_BYTES:
            self._enqueue(bytes(self._buffer))
            self._buffer.clear()
        return length

    def flush(self) -> None:
        """Does nothing: a part is sent when it is full."""

    def complete(self) -> None:
        """Sends the rest and makes the object visible."""
        self._enqueue(bytes(self._buffer))
        self._enqueue(None)
        self._thread.join()
        self._raise_error()

    def discard(self) -> None:
        """Aborts the upload, or deletes the object if it is complete."""
        self._is_discarded = True
        with suppress(StoreError):
            self._enqueue(None)
        self._thread.join()
        if self._error is None:
            _delete_object(self._store, self._path, self._url)

    def _enqueue(self, chunk: bytes | None) -> None:
        """Waits until the upload takes a chunk; None is its end. Raises StoreError if the upload has failed."""
        while self._thread.is_alive():
            with suppress(queue.Full):
                self._chunks.put(chunk, timeout=_ALIVE_CHECK_SECONDS)
                return
        self._raise_error()

    def _raise_error(self) -> None:
        if self._error is not None:
            with _convert_errors(self._url, "written"):
                raise self._error

    def _upload(self) -> None:
        import obstore

        try:
            obstore.put(
                self._store,
                self._path,
                self._queued(),
                use_multipart=True,
                chunk_size=_PART_BYTES,
                max_concurrency=_CONCURRENT_PARTS,
            )
        except Exception as error:
            self._error = error

    def _queued(self) -> Iterator[bytes]:
        while (chunk := self._chunks.get()) is not None:
            yield chunk
        if self._is_discarded:
            # obstore aborts an upload whose data raises.
            raise _DiscardedError


@contextmanager
def _convert_errors(name: str, action: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{name} can't be {action}: {error.strerror or error_summary(str(error))}.") from error
    except Exception as error:
        # Errors of obstore; the package is an extra.
        if not type(error).__module__.startswith("obstore"):
            raise
        raise StoreError(f"{name} can't be {action}: {error_summary(str(error))}.") from error
