"""The simulation: a local cloud lives through thousands of hours under a pretend clock, and judges check it.

May import: everything below the wall except the server, and :mod:`gtlab.judging`.
"""
