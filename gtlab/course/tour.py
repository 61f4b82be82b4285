"""The tour: run notebooks without a browser, one after another, and report which ones failed.

papermill runs the cells; it is imported inside functions only, because it takes over a second. :mod:`kernels` has the
kernels that it uses, :mod:`parameters` what notebooks can be given.
A notebook fails when a cell raises, and also when an error was swallowed by a widget's Output,
which papermill itself does not notice.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from gtlab import redaction
from gtlab.course import solutions
from gtlab.course.kernels import Kernels, kernel_config, kernel_manager
from gtlab.course.parameters import TourError, check_parameters, first_line, share
from gtlab.course.workingcopy import course_folder

if TYPE_CHECKING:
    from nbformat import NotebookNode

COURSE = "[0-9][0-9]_*.ipynb"
START_TIMEOUT_S = 120  # about one kernel start in ten takes seconds; a busy machine, far more
SAVE_EVERY_S = 5.0  # the copy of a notebook that is running
STARTS = 3  # of a kernel that ends before it answers
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
ERROR_MARKER = "papermill-error-cell-tag"  # papermill's tag on the two cells it adds to a failed notebook


@dataclass(frozen=True)
class Result:
    """What became of one notebook. `cells` counts the code cells that were run; `error` is None when ok."""

    notebook: Path
    ok: bool
    seconds: float
    error: str | None
    cells: int


# --- choosing notebooks ---


def find_notebooks(names: Sequence[str] = ()) -> list[Path]:
    """The notebooks called `names`, in that order and each once; without names, the whole course.

    A name is a stem ("04_time_it"), a file name, a number ("04") or the path of any .ipynb file.
    Raises TourError for a name that fits nothing, and for two notebooks of one file name, whose
    executed copies would overwrite each other.
    """
    course = _course()
    if not names and not course:
        raise TourError(f"There are no notebooks in {course_folder()}. Install gtlab again.")
    chosen = list(dict.fromkeys(_find(name, course) for name in names)) if names else course
    _refuse_namesakes(chosen)
    return chosen


def _course() -> list[Path]:
    return sorted(course_folder().glob(COURSE))


def _find(name: str, course: Sequence[Path]) -> Path:
    for path in course:
        number = path.name.split("_")[0]
        if name in (path.name, path.stem, number) or (name.isdigit() and name.zfill(2) == number):
            return path
    path = Path(name)
    if path.suffix == ".ipynb" and path.is_file():
        return path.resolve()
    there_are = "".join(f"\n  {path.stem}" for path in course) or " none here"
    raise TourError(f"No notebook is called {name!r}. There are:{there_are}")


def _refuse_namesakes(notebooks: Sequence[Path]) -> None:
    seen: dict[str, Path] = {}
    for path in notebooks:
        if (other := seen.setdefault(path.name, path)) != path:
            raise TourError(f"Two notebooks are called {path.name}: {other} and {path}. Run them apart.")


# --- running ---


def run(
    notebooks: Sequence[Path],
    params: Mapping[str, Any],
    out: Path,
    *,
    kernels: Kernels | None = None,
    progress: bool = True,
    solve: bool = False,
) -> list[Result]:
    """Run `notebooks` one after another; the executed copies, whole or broken off, are written to `out`.

    `params` goes through check_parameters, and each notebook gets those that it has. With `progress`,
    stderr shows a bar, or a line for each notebook when stderr is no terminal. A failure does not stop
    the tour. Ctrl-C does: the notebook at hand counts as failed ("interrupted") and the results so far
    are returned.
    With `solve`, the solutions of the exercises run in place of the stubs, and one that is not right fails.
    Raises TourError, before anything runs, for parameters and folders that cannot be used, and for a stub without a
    solution.
    """
    kernels = kernels or Kernels()
    if solve:
        _prepare(out, notebooks)
        with tempfile.TemporaryDirectory(prefix="gtlab-") as folder:
            strict = replace(kernels, env={**kernels.env, "GTLAB_STRICT": "1"})
            found = run(_solved(notebooks, Path(folder)), params, out, kernels=strict, progress=progress)
        return [replace(result, notebook=path) for result, path in zip(found, notebooks, strict=False)]
    checked = check_parameters(notebooks, params)
    shares = {path: share(path, checked) for path in notebooks}
    _prepare(out, notebooks)
    results: list[Result] = []
    with contextlib.closing(kernels.leaving), _Progress(len(notebooks), shown=progress) as shown:
        for path in notebooks:
            shown.start(path)
            target = out / path.name
            result, interrupted = _run_one(path, shares[path], target, kernels, shown.cell)
            results.append(result)
            shown.done(result)
            if interrupted:
                break
    return results


def _solved(notebooks: Sequence[Path], folder: Path) -> list[Path]:
    """Copies of the notebooks, with the solutions in place of the stubs."""
    copies = []
    for path in notebooks:
        try:
            notebook = json.loads(path.read_text(encoding="utf-8"))
            solutions.solved(notebook)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TourError(f"{path.name} cannot be solved: {first_line(error)}") from error
        copy = folder / path.name
        copy.write_text(json.dumps(notebook), encoding="utf-8")
        copies.append(copy)
    return copies


def _prepare(out: Path, notebooks: Sequence[Path]) -> None:
    """Make `out`; refuse one where executed copies would replace the notebooks themselves."""
    for path in notebooks:
        if path.parent.resolve() == out.resolve():
            raise TourError(f"{out} holds {path.name} itself: choose another folder for the executed copies.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TourError(f"The folder {out} cannot be created: {error.strerror}") from error


def _run_one(
    path: Path, params: dict[str, Any], target: Path, kernels: Kernels, on_cell: Callable[..., None]
) -> tuple[Result, bool]:
    """The result of one notebook, and whether Ctrl-C ended it."""
    target.unlink(missing_ok=True)  # never judge by an earlier tour's copy
    ran = 0

    def count(cell: NotebookNode, cell_index: int) -> None:
        nonlocal ran
        ran += 1
        on_cell(ran)

    started, interrupted = time.perf_counter(), False
    try:
        error = _execute(path, params, target, kernels, count)
    except KeyboardInterrupt:
        error, interrupted = "interrupted", True
    _hide(target)
    error = None if error is None else redaction.hide(error)
    return Result(path, error is None, time.perf_counter() - started, error, ran), interrupted


def _hide(copy: Path) -> None:
    """Take credentials and account ids out of an executed copy, if there is one."""
    with contextlib.suppress(FileNotFoundError):
        text = copy.read_text(encoding="utf-8")
        if (hidden := redaction.hide(text)) != text:
            copy.write_text(hidden, encoding="utf-8")


def _engine() -> str:
    """The name of papermill's own engine, but with a copy that is saved now and then: papermill writes the whole
    notebook twice for each cell, which takes longer than most cells. What is there at the end is saved in any case."""
    from papermill.engines import NBClientEngine, papermill_engines

    class Sparing(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, *args: Any, **kwargs: Any) -> Any:
            save, saved = nb_man.save, time.monotonic()

            def now_and_then(**kwargs: Any) -> None:
                nonlocal saved
                if time.monotonic() - saved >= SAVE_EVERY_S:
                    save(**kwargs)
                    _hide(Path(nb_man.output_path))
                    saved = time.monotonic()

            nb_man.save = now_and_then
            try:
                return super().execute_managed_notebook(nb_man, *args, **kwargs)
            finally:
                nb_man.save = save

    papermill_engines.register("gtlab", Sparing)
    return "gtlab"


def _execute(
    path: Path, params: dict[str, Any], target: Path, kernels: Kernels, on_cell: Callable[..., None]
) -> str | None:
    """Run one notebook with papermill; what went wrong in one line, or None."""
    import papermill
    import tenacity
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    # Where kernels use TCP ports, another program may have taken one: see kernel_manager.
    start_again = tenacity.retry(stop=tenacity.stop_after_attempt(STARTS), reraise=True,
                                retry=tenacity.retry_if_exception_message(match="Kernel died before replying"))
    try:
        notebook = start_again(papermill.execute_notebook)(
            str(path.resolve()),
            str(target.resolve()),
            parameters=params,
            kernel_name="python3",
            language="python",
            engine_name=_engine(),
            progress_bar=False,
            execution_timeout=kernels.timeout_s,
            start_timeout=START_TIMEOUT_S,
            cwd=str(path.resolve().parent),
            # These go through papermill to nbclient.
            kernel_manager_class=kernel_manager(kernels),
            config=kernel_config(),
            on_cell_execute=on_cell,
        )
    except papermill.PapermillExecutionError as error:
        where = _where(target, error.cell_index, error.exec_count)
        return f"{where}: {error.ename}: {first_line(error.evalue)}".rstrip(": ")
    except CellTimeoutError:
        return f"{_last_cell(target)}: still running after {kernels.timeout_s:g} s"
    except DeadKernelError:
        return f"{_last_cell(target)}: the kernel died"
    except Exception as error:  # an unreadable file, a kernel that does not start: the tour goes on
        return f"{type(error).__name__}: {first_line(error)}"
    hidden = swallowed_errors(notebook)
    return "in a widget's output: " + "; ".join(hidden) if hidden else None


# --- what went wrong ---


def swallowed_errors(nb: NotebookNode) -> list[str]:
    """The errors, as "ename: evalue", that widgets' Outputs hold in an executed notebook."""
    widgets = nb.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    return [
        f"{output.get('ename')}: {first_line(output.get('evalue', ''))}"
        for widget in widgets.values()
        if widget.get("model_name") == "OutputModel"
        for output in widget.get("state", {}).get("outputs", ())
        if output.get("output_type") == "error"
    ]


def _where(target: Path, index: int, execution_count: int | None) -> str:
    """The cell at `index` of an executed copy, for people: its number, and the heading it stands under."""
    number = f"cell In [{execution_count}]" if execution_count else f"cell {index + 1}"
    heading = _heading(_cells(target)[:index])
    return f'{number}, under "{heading}"' if heading else number


def _last_cell(target: Path) -> str:
    """The cell that was running when papermill gave up: the last one that it stamped with a start time."""
    cells = _cells(target)
    begun = [
        index
        for index, cell in enumerate(cells)
        if cell.cell_type == "code" and cell.metadata.get("papermill", {}).get("start_time")
    ]
    return _where(target, begun[-1], None) if begun else "before the first cell"


def _cells(target: Path) -> list[NotebookNode]:
    import nbformat

    cells = nbformat.read(target, as_version=4).cells if target.exists() else []
    return [cell for cell in cells if ERROR_MARKER not in cell.metadata.get("tags", [])]


def _heading(cells: Sequence[NotebookNode]) -> str | None:
    """The nearest markdown heading, seen from the end of `cells`."""
    for cell in reversed(cells):
        lines = cell.source.splitlines() if cell.cell_type == "markdown" else []
        for line in reversed(lines):
            if line.startswith("#"):
                return line.lstrip("#").strip()
    return None


# --- reporting ---


def table(results: Sequence[Result]) -> str:
    """The results as aligned text: a line for each notebook with its seconds, and the total."""
    total = sum(result.seconds for result in results)
    failed = sum(not result.ok for result in results)
    summary = f"{failed} failed" if failed else "all ok"
    noun = "notebook" if len(results) == 1 else "notebooks"
    last = (f"{len(results)} {noun}", summary, f"{total:.1f}")
    head = ("notebook", "result", "seconds")
    rows = [(r.notebook.stem, "ok" if r.ok else "FAILED", f"{r.seconds:.1f}") for r in results]
    widths = [max(map(len, column)) for column in zip(head, *rows, last, strict=True)]

    def line(row: Sequence[str]) -> str:
        return f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}"

    rule = "-" * (sum(widths) + 4)
    return "\n".join([line(head), rule, *map(line, rows), rule, line(last)])


class _Progress:
    """What the tour shows on stderr while it runs: a bar on a terminal, else a line for each notebook."""

    def __init__(self, total: int, *, shown: bool) -> None:
        self.shown = shown
        drawn = shown and sys.stderr.isatty()
        self.lines = shown and not drawn
        self.bar = tqdm(total=total, unit="notebook", file=sys.stderr, leave=False, disable=not drawn)

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def start(self, path: Path) -> None:
        self.bar.set_description(path.stem)

    def cell(self, number: int) -> None:
        # A long notebook must not look like a stuck one.
        self.bar.set_postfix_str(f"cell {number}")

    def done(self, result: Result) -> None:
        self.bar.update()
        # A failure is reported at once and in full, above the bar; the table at the end has no room for it.
        if self.lines or (self.shown and not result.ok):
            outcome = "ok" if result.ok else f"FAILED: {result.error}"
            self.bar.write(f"{result.notebook.stem}  {result.seconds:.1f} s  {outcome}", file=sys.stderr)
