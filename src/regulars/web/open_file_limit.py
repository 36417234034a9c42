"""The limit of open files: each client connection needs one, and at the limit no more are accepted."""

import resource

import structlog

RESERVED_FILES = 256
"""Open files of a process that are not client connections."""

ACCEPT_HEADROOM = 768
"""Connections that may be opened between two counts of the open connections."""

_log = structlog.get_logger("regulars.files")


def required_files(max_connections: int) -> int:
    """The number of files that a process must be able to open for this number of connections."""
    return max_connections + RESERVED_FILES + ACCEPT_HEADROOM


def hard_limit() -> int:
    """The hard limit of open files of this process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _number(hard)


def raise_soft_limit(files: int) -> None:
    """Raises the soft limit of this process and its children to `files`, as far as the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft_limit = min(files, _number(hard))
    if _number(soft) < soft_limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft_limit, hard))
    if soft_limit < files:
        _log.warning("files.limit_too_low", limit=soft_limit, needed=files)


def connection_limit(max_connections: int) -> int:
    """The connection limit of a process: lower than the setting if the limit of open files is too low."""
    files = _number(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    return min(max_connections, max(files - RESERVED_FILES - ACCEPT_HEADROOM, files // 2))


def accept_limit(max_connections: int) -> int:
    """The number of connections that the HTTP server accepts, so that files remain until idle ones are closed."""
    files = _number(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    return max(1, min(connection_limit(max_connections) + ACCEPT_HEADROOM, files - RESERVED_FILES))


def _number(limit: int) -> int:
    return 2**31 if limit == resource.RLIM_INFINITY else limit
