"""The faults of the simulated world, with a button that mends them."""

from __future__ import annotations

import html
from collections.abc import Callable

import ipywidgets
import pandas as pd

from gtlab.lab import Lab, display
from gtlab.localcloud import process
from gtlab.widgets.drawn import WithStill
from gtlab.widgets.keys import KeyGuard

_STYLE = """<style>
.gt-broken { border-collapse: collapse; }
.gt-broken.gt-broken :is(th, td) { text-align: left; vertical-align: top; padding: 2px 14px 2px 0; line-height: 1.4; }
</style>"""


class FaultTable(WithStill, ipywidgets.VBox):
    """What :func:`world` returns."""

    def __init__(self, lab: Lab):
        self._lab = lab
        self._shown = ipywidgets.HTML()
        mend, again = ipywidgets.Button(description="Repair everything"), ipywidgets.Button(description="Refresh")
        mend.on_click(lambda _: self._show(lab.world.reset, self._look))
        again.on_click(lambda _: self._show(self._look))
        self._look()
        super().__init__([self._shown, ipywidgets.HBox([mend, again]), KeyGuard(name="What is broken")])
        self.add_class("gt-world")

    def still(self) -> str:
        return self._shown.value

    def _look(self) -> None:
        state = self._lab.world.state()
        with pd.option_context("display.max_colwidth", None):  # otherwise to_html shortens long cells
            self._shown.value = "<b>Nothing is broken.</b>" if state.empty else _STYLE + display.whole(
                state.to_html(index=False, na_rep="", border=0, classes="gt-broken"))

    def _show(self, *steps: Callable[[], object]) -> None:
        try:  # an error in the function of a button is not shown
            for step in steps:
                step()
        except (process.CloudError, ValueError) as error:
            self._shown.value = f"<b>{html.escape(str(error))}</b>"
        self.keep()


def world(lab: Lab) -> FaultTable:
    """A table of what is broken in the lab's simulated world, with a button that mends everything and a button that
    refreshes the table."""
    return FaultTable(lab)
