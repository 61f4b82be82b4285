"""Widgets: they show a choice, hand it on, and draw what comes back. No logic of their own."""

from __future__ import annotations

import html
from collections.abc import Callable

import ipywidgets
import pandas as pd
from IPython.display import display

from gtlab import background, charts, regions
from gtlab.lab import Choice, Lab, checked_choice

_NONE = ("(none)", "")


def world(lab: Lab) -> ipywidgets.VBox:
    """What is broken in the lab's simulated world, as a table, with a button that mends everything and one that looks
    again."""
    mend, again = ipywidgets.Button(description="Mend everything"), ipywidgets.Button(description="Look again")
    shown = ipywidgets.HTML()

    def look() -> None:
        state = lab.world.state()
        with pd.option_context("display.max_colwidth", None):  # or to_html cuts long cells
            shown.value = "<b>Nothing is broken.</b>" if state.empty else state.to_html(index=False, na_rep="")

    def show(*steps: Callable[[], object]) -> None:
        try:  # an error in a button's function would be seen by nobody
            for step in steps:
                step()
        except (background.CloudError, ValueError) as error:
            shown.value = f"<b>{html.escape(str(error))}</b>"

    mend.on_click(lambda _: show(lab.world.reset, look))
    again.on_click(lambda _: show(look))
    look()
    return ipywidgets.VBox([shown, ipywidgets.HBox([mend, again])])


def choose_regions(choice: Choice, on_choice: Callable[[Choice], object]) -> ipywidgets.VBox:
    """Menus for a home Region and one or two replicas, above a map that follows them.

    ``on_choice`` is called with each new valid choice; one that does not fit is explained and not handed on.
    """
    options = sorted((regions.label(code), code) for code in regions.REGIONS)
    replicas = [*choice.replicas[:2], ""][:2]
    menus = {
        "Home": ipywidgets.Dropdown(options=options, value=choice.home),
        "Replica 1": ipywidgets.Dropdown(options=options, value=replicas[0]),
        "Replica 2": ipywidgets.Dropdown(options=[_NONE, *options], value=replicas[1]),
    }
    for name, menu in menus.items():
        menu.description, menu.layout.width = name, "360px"
    message, picture = ipywidgets.HTML(), ipywidgets.Output(layout={"min_height": "440px"})

    def show(chosen: Choice) -> None:
        figure = charts.region_map(regions.frame(chosen.home, chosen.replicas))
        with picture:  # everything is worked out before: an error in here would go unseen
            picture.clear_output(wait=True)
            display(figure)

    def changed(_: object) -> None:
        try:
            chosen = checked_choice(menus["Home"].value,
                                    [menus[name].value for name in ("Replica 1", "Replica 2") if menus[name].value])
        except ValueError as error:
            message.value = f"<b>Not kept:</b> {error}"
            return
        on_choice(chosen)
        message.value = f"Kept for the next notebooks: {', '.join(map(regions.label, chosen.regions))}."
        show(chosen)

    for menu in menus.values():
        menu.observe(changed, names="value")
    show(choice)
    return ipywidgets.VBox([*menus.values(), message, picture])
