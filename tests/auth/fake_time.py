"""Seconds that a test sets, in place of the module `time`."""


class FakeTime:
    """Stands for the module `time`: seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        """The seconds so far."""
        return self.seconds
