"""The limits of connections follow the limit of open files of the process."""

import resource
from collections.abc import Iterator

import pytest
import structlog

from regulars.web import open_file_limit
from regulars.web.open_file_limit import ACCEPT_HEADROOM, RESERVED_FILES

SOFT_LIMIT = 3_000


@pytest.fixture(autouse=True)
def soft_limit() -> Iterator[None]:
    """A soft limit of SOFT_LIMIT open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT_LIMIT, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_process_accepts_more_connections_than_it_keeps_open() -> None:
    assert open_file_limit.connection_limit(100) == 100
    assert open_file_limit.accept_limit(100) == 100 + ACCEPT_HEADROOM
    assert open_file_limit.required_files(100) == 100 + RESERVED_FILES + ACCEPT_HEADROOM


def test_the_limit_of_open_files_lowers_the_connection_limit() -> None:
    assert open_file_limit.connection_limit(10_000) == SOFT_LIMIT - RESERVED_FILES - ACCEPT_HEADROOM
    assert open_file_limit.accept_limit(10_000) == SOFT_LIMIT - RESERVED_FILES


def test_the_soft_limit_is_raised_up_to_the_hard_limit() -> None:
    hard = open_file_limit.hard_limit()
    open_file_limit.raise_soft_limit(SOFT_LIMIT + 1)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == SOFT_LIMIT + 1
    with structlog.testing.capture_logs() as logged:
        open_file_limit.raise_soft_limit(hard + 1)
    assert logged == [{"event": "files.limit_too_low", "log_level": "warning", "limit": hard, "needed": hard + 1}]


def test_an_unlimited_number_of_files_is_a_large_number() -> None:
    assert open_file_limit._number(resource.RLIM_INFINITY) == 2**31
