"""A replacement for the module `time` that tests control."""


class FakeTime:
    """Replaces the module `time`. Time passes when a test increases `seconds`."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        """Returns the current time."""
        return self.seconds
