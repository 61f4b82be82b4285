"""The faults of the simulated world, with a button that mends them."""

from __future__ import annotations

import html
from collections.abc import Callable

import ipywidgets
import pandas as pd

from gtlab.lab import Lab
from gtlab.localcloud import process
from gtlab.widgets.keys import guarded


def world(lab: Lab) -> ipywidgets.VBox:
    """A table of what is broken in the lab's simulated world, with a button that mends everything and a button that
    refreshes the table."""
    mend, again = ipywidgets.Button(description="Mend everything"), ipywidgets.Button(description="Refresh")
    shown = ipywidgets.HTML()

    def look() -> None:
        state = lab.world.state()
        with pd.option_context("display.max_colwidth", None):  # otherwise to_html shortens long cells
            shown.value = "<b>Nothing is broken.</b>" if state.empty else state.to_html(index=False, na_rep="")

    def show(*steps: Callable[[], object]) -> None:
        try:  # an error in the function of a button is not shown
            for step in steps:
                step()
        except (process.CloudError, ValueError) as error:
            shown.value = f"<b>{html.escape(str(error))}</b>"

    mend.on_click(lambda _: show(lab.world.reset, look))
    again.on_click(lambda _: show(look))
    look()
    return guarded(shown, ipywidgets.HBox([mend, again]), name="What is broken")
