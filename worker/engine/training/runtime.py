"""How long a job may train: its `max_runtime`, over all its trainings and attempts."""

import math


class Runtime:
    """What is left of it for the trainings to come, in seconds; without a limit there is no end."""

    def __init__(self, limit: float | None) -> None:
        self.limited = limit is not None
        self.left = math.inf if limit is None else limit

    def spend(self, seconds: float) -> None:
        """Take away what a training took, in this attempt or an earlier one."""
        self.left -= seconds

    @property
    def over(self) -> bool:
        return self.left <= 0
