"""Seed and settings of random tests. The seed is printed with every run."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, seed, settings

SEED = int(os.environ.get("REGULARS_SEED") or secrets.randbelow(2**32))
# The processes of a run draw from the same seed, which is the one that is printed.
os.environ["REGULARS_SEED"] = str(SEED)


def examples(default: int) -> int:
    """How many examples a test draws: the default number, or REGULARS_EXAMPLES for a long run."""
    return int(os.environ.get("REGULARS_EXAMPLES") or default)


def property_test(default: int) -> Callable[[Any], Any]:
    """Decorates a property test that uses the database: examples from the seed, without a deadline."""
    slow = settings(
        max_examples=examples(default),
        deadline=None,
        print_blob=True,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
        ],
    )
    return lambda test: seed(SEED)(slow(test))
