"""Choose the home Region and its replicas."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets
from IPython.display import display

from gtlab import charts, regions
from gtlab.lab import Choice, checked_choice

_NONE = ("(none)", "")


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
