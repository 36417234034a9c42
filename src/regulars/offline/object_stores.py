"""Access to object stores by URL, for engines on one machine. Needs `pip install 'regulars[lake]'`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from regulars.core.errors import MissingDependencyError
from regulars.offline.errors import InputNotFoundError, InvalidInputError

SCHEMES = ("s3", "gs", "az")

_RETRIES = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}


def file_system(url: str) -> Any:
    """File system of the object store of a URL; endpoint and credentials come from the environment.

    Raises InputNotFoundError for an unsupported scheme, MissingDependencyError if the extra is not installed.
    """
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        known = ", ".join(f"{each}://" for each in (*SCHEMES, "file"))
        raise InputNotFoundError(f"Unsupported URL {url}. Use a path, or a URL with {known}.")
    try:
        from obstore.fsspec import FsspecStore
    except ImportError:
        raise MissingDependencyError(f"{scheme}:// needs an extra: pip install 'regulars[lake]'.") from None
    # Glob patterns are matched by the scheme of the class, not of the instance.
    kind = type(f"{scheme.capitalize()}Store", (FsspecStore,), {"protocol": scheme})
    return kind(retry_config=_RETRIES, skip_instance_cache=True)


def list_files(url: str) -> Sequence[str]:
    """The files below a URL; none if it is not a folder. Raises InvalidInputError if the store does not respond."""
    files = file_system(url)
    with _convert_errors(url, "read"):
        return [str(name) for name in files.find(url)] if files.isdir(url) else []


def upload(file: Path, url: str) -> None:
    """Uploads a file as a whole, so that concurrent readers see the previous content.

    Raises InvalidInputError if the store rejects it.
    """
    files = file_system(url)
    with _convert_errors(url, "written"):
        files.put_file(str(file), url)


def error_summary(text: str) -> str:
    """First line of an object store's error message, without traceback."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(("Traceback", " "))]
    first = lines[0] if lines else text
    return first.removeprefix("GenericError: ").partition("<?xml")[0].strip(" :-.")


@contextmanager
def _convert_errors(url: str, action: str) -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError) as error:
        raise InvalidInputError(f"{url} can't be {action}: {error_summary(str(error))}.") from None
