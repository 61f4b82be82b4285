"""Long work that is done in slices between the calls of clients: building an index, freeing a deleted table. Pure.

Whoever drives the cloud calls :meth:`Slices.work` again and again; each call does a few milliseconds of work.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from gtlab.localcloud.observe.internal_errors import RETRY_S, InternalErrors

SLICE = 100  # items: a millisecond or two of work
Job = Callable[[float], bool]  # does one slice at a time (epoch seconds), and returns whether there is more to do


class Slices:
    """The work that is left. Falsy if there is none. ``begun``: the number of jobs so far. A job may begin with a copy
    of all keys of a table. A slice that fails is tried once more; if it fails again, its job waits for :meth:`retry`.
    So a job must be able to repeat a slice that failed half-way."""

    def __init__(self, errors: InternalErrors) -> None:
        self.begun = 0
        self._errors = errors
        self._jobs: deque[Job] = deque()
        self._failed = deque[tuple[float, Job]]()  # with the time of the next attempt

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def begin(self, job: Job, now: float) -> None:
        """Do the first slice of a job. A small job is done afterwards."""
        self.begun += 1
        self._slice(job, now)

    def later(self, job: Job) -> None:
        """Do the first slice of a job in :meth:`work`. For what frees something: until the call is over that begins it,
        an error may undo the call (:mod:`gtlab.localcloud.undo`)."""
        self.begun += 1
        self._jobs.append(job)

    def work(self, now: float) -> None:
        """Do one slice of the job whose turn it is."""
        self._slice(self._jobs.popleft(), now)

    def retry(self, now: float) -> None:
        """Go on with the jobs of which a slice failed twice, after RETRY_S."""
        while self._failed and self._failed[0][0] <= now:
            self._jobs.append(self._failed.popleft()[1])

    def _slice(self, job: Job, now: float) -> None:
        more = False

        def work(now: float) -> None:
            nonlocal more
            more = job(now)

        if not self._errors.attempt(_about, work, now):
            self._failed.append((now + RETRY_S, job))
        elif more:
            self._jobs.append(job)


def _about(now: float) -> str:
    return "A slice of long work: building an index, sending items to a replica, copying or freeing a table"
