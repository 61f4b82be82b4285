"""Commands that need the packages of the extra ``course``, and what they say where it is not installed."""

from __future__ import annotations

from importlib.util import find_spec

import click

MEASURING = ("fastparquet", "pandas", "plotly", "scipy")
COURSE = (*MEASURING, "anywidget", "ipywidgets", "jupyterlab", "nbconvert", "papermill")


def need(packages: tuple[str, ...], command: str) -> None:
    """Raises ClickException, in one line, where one of the packages is not installed."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise click.ClickException(f"gtlab {command} needs the course's packages ({', '.join(missing)} not found). "
                                   'Install them: pip install "gtlab[course]"')
