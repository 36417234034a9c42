"""Garbage is collected seldom, and objects of the startup never."""

import gc
import subprocess
import sys

from regulars.core.garbage_collection import NEW_OBJECTS_PER_COLLECTION, freeze_startup_objects


def test_objects_created_at_startup_are_not_garbage_collected() -> None:
    threshold = gc.get_threshold()
    startup_object: list[object] = []
    startup_object.append(startup_object)
    try:
        freeze_startup_objects()
        assert gc.get_threshold() == (NEW_OBJECTS_PER_COLLECTION, 10, 10)
        assert not any(each is startup_object for each in gc.get_objects())
    finally:
        gc.unfreeze()
        gc.set_threshold(*threshold)
    assert any(each is startup_object for each in gc.get_objects())
    # As the run has begun, see conftest.py.
    gc.freeze()


def test_commands_collect_less_often() -> None:
    code = "import atexit, gc, regulars.cli; atexit.register(lambda: print(gc.get_threshold())); regulars.cli.main(['--version'])"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=30)
    assert run.stdout.splitlines()[-1] == str((NEW_OBJECTS_PER_COLLECTION, 10, 10))
