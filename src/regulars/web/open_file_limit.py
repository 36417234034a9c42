"""The limit of open files: each client connection takes one, and at the limit no more are accepted."""

import resource

import structlog

RESERVED_FILES = 256
"""Open files of a process that are not client connections."""

ACCEPT_HEADROOM = 768
"""Connections that may arrive between two checks of how many are open."""

_log = structlog.get_logger("regulars.files")


def required_files(max_connections: int) -> int:
    """How many files a process must be able to open for so many connections."""
    return max_connections + RESERVED_FILES + ACCEPT_HEADROOM


def hard_limit() -> int:
    """How many files this process may allow itself to open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _number(hard)


def raise_soft_limit(files: int) -> None:
    """Lets this process, and those that it starts, open so many files, as far as its hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(files, _number(hard))
    if _number(soft) < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted < files:
        _log.warning("files.limit_too_low", limit=wanted, needed=files)


def connection_limit(max_connections: int) -> int:
    """How many connections a process holds at most: fewer than the setting says where files are too few."""
    files = _number(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    return min(max_connections, max(files - RESERVED_FILES - ACCEPT_HEADROOM, files // 2))


def accept_limit(max_connections: int) -> int:
    """How many connections the HTTP server accepts: it must not run out of files before idle ones are closed."""
    files = _number(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    return max(1, min(connection_limit(max_connections) + ACCEPT_HEADROOM, files - RESERVED_FILES))


def _number(limit: int) -> int:
    return 2**31 if limit == resource.RLIM_INFINITY else limit
