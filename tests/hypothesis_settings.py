"""The seed of everything that tests draw, printed with every run, and how they draw."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, seed, settings

SEED = int(os.environ.get("REGULARS_SEED") or secrets.randbelow(2**32))


def examples(usual: int) -> int:
    """How many examples a test draws: the usual number, or REGULARS_EXAMPLES for a long run."""
    return int(os.environ.get("REGULARS_EXAMPLES") or usual)


def property_test(usual: int) -> Callable[[Any], Any]:
    """Has a test that asks the database draw examples from the run's seed, each as long as it takes."""
    slow = settings(
        max_examples=examples(usual),
        deadline=None,
        print_blob=True,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
        ],
    )
    return lambda test: seed(SEED)(slow(test))
