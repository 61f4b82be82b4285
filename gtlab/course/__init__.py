"""The course: bring the world to a notebook's start (:mod:`stages`), judge an answer (:mod:`check`), run the notebooks
without a screen (:mod:`tour`).

May import: the lab, measurements, charts and widgets.
"""
