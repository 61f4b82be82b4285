"""Build hook: the wheel carries the course's notebooks, the pages beside them (such as the glossary) and the
solutions of its exercises, as ``gtlab/notebooks``.

An editable install gets no copy, because a forced include would be copied once and then go stale: in a checkout the
folder ``notebooks/`` is the course.
"""

from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NotebooksHook(BuildHookInterface):
    def initialize(self, version: str, build_data: dict) -> None:
        """``version`` is "standard" for a wheel and "editable" for an editable install."""
        if version != "standard":
            return
        notebooks = sorted(Path(self.root, "notebooks").glob("[0-9][0-9]_*.ipynb"))
        if not notebooks:
            raise FileNotFoundError(f"{self.root} has no notebooks, so the wheel would have no course.")
        solutions = sorted(Path(self.root, "notebooks", "solutions").glob("*.py"))
        pages = sorted(Path(self.root, "notebooks").glob("*.md"))
        for path in [*notebooks, *solutions, *pages]:
            place = path.relative_to(Path(self.root, "notebooks")).as_posix()
            build_data["force_include"][str(path)] = f"gtlab/notebooks/{place}"
