"""A class: the instructor's board, and what connects a learner to it.

The board (:mod:`board`) is a small web server on the instructor's machine. Each learner's machine runs one background
process (:mod:`agent`), which opens all connections itself, so that it works from behind a router. It sends what
:mod:`wire` allows and nothing else, and carries out what the instructor asks of every learner's local cloud. What
kernels do for it (which cell runs, notes from the instructor) is in :mod:`gtlab.lab.classmate`.

In a notebook: :func:`join`, :func:`leave`, :func:`events`. On the command line: ``gtlab class``.

May import: the course, the lab, :mod:`gtlab.localcloud.process`.
"""

from __future__ import annotations

from gtlab.classroom.membership import events, join, leave, status

__all__ = ["events", "join", "leave", "status"]
