"""Object stores by URL, for an engine that runs on one machine. Needs `pip install 'regulars[lake]'`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from regulars.offline.errors import InputNotFoundError, InvalidInputError, MissingDependencyError

SCHEMES = ("s3", "gs", "az")

_RETRIES = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}


def file_system(url: str) -> Any:
    """The files of the object store that a URL means; where it is and who asks is told by the environment.

    Raises InputNotFoundError for a URL of another kind, MissingDependencyError where the extra is not installed.
    """
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        known = ", ".join(f"{each}://" for each in (*SCHEMES, "file"))
        raise InputNotFoundError(f"{url} can't be reached from here: give a path, or a URL with {known}.")
    try:
        from obstore.fsspec import FsspecStore
    except ImportError:
        raise MissingDependencyError(f"{scheme}:// needs an extra: pip install 'regulars[lake]'.") from None
    # Patterns are matched by the scheme of the class, not by that of the instance.
    kind = type(f"{scheme.capitalize()}Store", (FsspecStore,), {"protocol": scheme})
    return kind(retry_config=_RETRIES, skip_instance_cache=True)


def list_files(url: str) -> Sequence[str]:
    """The files below a URL; none where it is no folder. Raises InvalidInputError where the store does not answer."""
    files = file_system(url)
    with _answering(url, "read"):
        return [str(name) for name in files.find(url)] if files.isdir(url) else []


def upload(file: Path, url: str) -> None:
    """Writes a whole file to a URL: whoever reads meanwhile finds what was there before.

    Raises InvalidInputError where the store does not take it.
    """
    files = file_system(url)
    with _answering(url, "written"):
        files.put_file(str(file), url)


def error_summary(text: str) -> str:
    """What an object store says of an error, in one line, without the way it took through Python."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(("Traceback", " "))]
    first = lines[0] if lines else text
    return first.removeprefix("GenericError: ").partition("<?xml")[0].strip(" :-.")


@contextmanager
def _answering(url: str, done: str) -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError) as error:
        raise InvalidInputError(f"{url} can't be {done}: {error_summary(str(error))}.") from None
