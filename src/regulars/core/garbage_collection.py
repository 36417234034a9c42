"""How often Python looks for garbage: seldom, because rows and requests leave hardly any that it must look for."""

import gc

NEW_OBJECTS_PER_COLLECTION = 10_000
"""Python's default is 700. A batch of rows has many more objects, which were scanned again and again while it was written:
that was a third of the CPU of this process for members who join.
"""


def collect_less_often() -> None:
    """Has garbage collected once per NEW_OBJECTS_PER_COLLECTION new objects from now on."""
    gc.set_threshold(NEW_OBJECTS_PER_COLLECTION, 10, 10)


def freeze_startup_objects() -> None:
    """Excludes the objects that exist now from garbage collection, which is done less often from now on.

    Modules, endpoints and documents exist until the process ends; scanning them would delay all requests by tens of
    milliseconds each time.
    """
    gc.collect()
    gc.freeze()
    collect_less_often()
