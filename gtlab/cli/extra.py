"""Commands that need the packages of an extra, and what they say where it is not installed."""

from __future__ import annotations

from importlib.util import find_spec

import click

MEASURING = ("fastparquet", "pandas", "plotly", "scipy")
COURSE = (*MEASURING, "anywidget", "ipywidgets", "jupyterlab", "nbconvert", "papermill")


HUB = ("jupyterhub",)


def need(packages: tuple[str, ...], command: str) -> None:
    """Raises ClickException, in one line, where one of the packages is not installed."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        whose, extra = ("JupyterHub's", "course,hub") if packages == HUB else ("the course's", "course")
        raise click.ClickException(f"gtlab {command} needs {whose} packages ({', '.join(missing)} not found). "
                                   f'Install them: pip install "gtlab[{extra}]"')
