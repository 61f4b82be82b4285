"""Keep the keys that plain ipywidgets handle from JupyterLab's shortcuts."""

from __future__ import annotations

import ipywidgets
import traitlets

from gtlab.widgets.drawn import Drawn, script


class KeyGuard(Drawn):
    """An element without size. The box that it is in keeps its keys: ArrowDown stays in a menu, and ``m`` does not turn
    the cell into Markdown. Keys with Ctrl, Cmd or Alt still reach JupyterLab, so that Ctrl+S saves."""

    _esm = script("map.js", "keys.js")
    name = traitlets.Unicode().tag(sync=True)  # of the box, for screen readers

    def still(self) -> str:
        return ""


def guarded(*children: ipywidgets.Widget, name: str = "") -> ipywidgets.VBox:
    """A vertical box of plain widgets whose keys do not reach JupyterLab's shortcuts. ``name`` is what screen readers
    call it."""
    return ipywidgets.VBox([*children, KeyGuard(name=name)])
