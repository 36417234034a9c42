"""The seed of everything that tests draw, printed with every run, and how many examples they draw."""

import os
import secrets

SEED = int(os.environ.get("REGULARS_SEED") or secrets.randbelow(2**32))


def examples(usual: int) -> int:
    """How many examples a test draws: the usual number, or REGULARS_EXAMPLES for a long run."""
    return int(os.environ.get("REGULARS_EXAMPLES") or usual)
