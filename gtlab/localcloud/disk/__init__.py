"""The cloud on disk: what is kept, in which format, and how it comes back.

May import: the cloud and the rooms whose state is kept.
"""
