"""Passwords of users, stored as Argon2id hashes."""

import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from regulars.core.errors import field_error

MIN_LENGTH, MAX_LENGTH = 12, 256
"""Lengths of a password in characters. Long ones are limited because hashing reads all of them."""

_hasher = PasswordHasher()


def require_valid(password: str) -> None:
    """Raises ValidationError for a password that is too short or too long."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise field_error(
            "password", f"has {len(password)} characters. Allowed: {MIN_LENGTH} to {MAX_LENGTH}, of any kind."
        )


def generate() -> str:
    """Returns a new random password that is easy to type."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(alphabet) for _ in range(5)) for _ in range(4))


def hash_password(password: str) -> str:
    """Returns the hash to store. It takes some 50 ms of a processor and 64 MiB, so it belongs in a worker thread."""
    return _hasher.hash(password)


def verify(password: str, stored: str | None) -> bool:
    """Whether a password has this hash.

    Without a hash it does the same work, so that the time does not reveal whether a user exists.
    """
    try:
        return _hasher.verify(stored or _unmatched_hash(), password[:MAX_LENGTH]) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


@cache
def _unmatched_hash() -> str:
    return _hasher.hash(secrets.token_urlsafe())
