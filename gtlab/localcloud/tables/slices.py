"""Long work that is done in slices between the calls of clients: building an index, freeing a deleted table. Pure.

Whoever drives the cloud calls :meth:`Slices.work` again and again; each call does a few milliseconds of work.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

SLICE = 100  # items: a millisecond or two of work
Job = Callable[[float], bool]  # does one slice at a time (epoch seconds), and returns whether there is more to do


class Slices:
    """The work that is left. Falsy if there is none. ``begun``: the number of jobs so far. A job may begin with a copy
    of all keys of a table."""

    def __init__(self) -> None:
        self.begun = 0
        self._jobs: deque[Job] = deque()

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def begin(self, job: Job, now: float) -> None:
        """Do the first slice of a job. A small job is done afterwards."""
        self.begun += 1
        if job(now):
            self._jobs.append(job)

    def work(self, now: float) -> None:
        """Do one slice of the job whose turn it is. A job that fails is dropped: it would fail again."""
        job = self._jobs.popleft()
        if job(now):
            self._jobs.append(job)
