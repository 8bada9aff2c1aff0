"""A worker that takes no more jobs for a while: the wish of a user, who may take it back."""

from worker.shutdown import Word


class Drain:
    """Made before Celery forks its slots, so that all of them share it."""

    def __init__(self) -> None:
        self.begun = Word()
        """No more jobs are taken."""
        self.checkpoint = Word()
        """Those at hand do not come to their end, but go back to the queue."""

    def heed(self, wish: str | None) -> None:
        """Follow a wish (finish, checkpoint), or that there is none any more."""
        (self.begun.announce if wish else self.begun.withdraw)()
        (self.checkpoint.announce if wish == "checkpoint" else self.checkpoint.withdraw)()
