"""The course: create the tables that a notebook needs (:mod:`stages`, :mod:`start`) and delete them (:mod:`cleanup`),
ask and judge (:mod:`check`), keep and show progress (:mod:`progress`, :mod:`overview`), run the notebooks without a
browser (:mod:`tour`), check the machine (:mod:`doctor`). The application of the later notebooks is :mod:`basket` and
:mod:`router`.

May import: the lab, measurements, charts, widgets and :mod:`gtlab.localcloud.process`.
"""
