"""The course: create what a notebook needs (:mod:`stages`), check an answer and give a hint (:mod:`check`), run the
notebooks headless (:mod:`tour`).

May import: the lab, measurements, charts and widgets.
"""
