"""A process of the server: what it does before it answers."""

import gc

from regulars.api.asgi import spare_what_stays


def test_what_stays_is_left_out_of_garbage_collections() -> None:
    stays: list[object] = []
    stays.append(stays)
    try:
        spare_what_stays()
        assert not any(each is stays for each in gc.get_objects())
    finally:
        gc.unfreeze()
    assert any(each is stays for each in gc.get_objects())
