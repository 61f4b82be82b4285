"""The tour: run notebooks headless, one after another, and report which ones failed.

papermill runs the cells; it is imported inside functions only, because it takes over a second.
A notebook fails when a cell raises, and also when an error was swallowed by a widget's Output,
which papermill itself does not notice.
"""

from __future__ import annotations

import ast
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from gtlab.course import solutions
from gtlab.course.workingcopy import course_folder

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from traitlets.config import Config

COURSE = "[0-9][0-9]_*.ipynb"
START_TIMEOUT_S = 120  # about one kernel start in ten takes seconds; a busy machine, far more
STARTS = 3  # of a kernel that ends before it answers
LOOK_AGAIN_S = 0.1
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
ERROR_MARKER = "papermill-error-cell-tag"  # papermill's tag on the two cells it adds to a failed notebook
TRUE, FALSE = {"true", "1", "yes"}, {"false", "0", "no"}


class TourError(ValueError):
    """The tour cannot start as asked; the text says why and what there is instead."""


@dataclass(frozen=True)
class Kernels:
    """How the notebooks' kernels run: `env` is added to their environment, and `timeout_s` is the longest that one cell
    may take."""

    env: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 600


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


# --- parameters ---


def check_parameters(notebooks: Sequence[Path], params: Mapping[str, Any]) -> dict[str, Any]:
    """`params` with every value converted to the type that the notebooks declare; fit for run().

    Known are the variables of a notebook's cell tagged `parameters`. Strings are converted by the
    annotation there, or else by the type of the default; `list` takes "a,b" or a JSON array; a `str`
    stays one even when it looks like a number. Values that are no strings pass unchanged.
    Raises TourError for a name that none of the notebooks knows, for a value that does not convert,
    and for a parameter that two notebooks declare with different types.
    """
    declared = {path: _declared(path) for path in notebooks} if params else {}
    return {name: _checked(name, value, declared) for name, value in params.items()}


def _checked(name: str, value: Any, declared: Mapping[Path, Mapping[str, Mapping[str, str]]]) -> Any:
    kinds = {_type_name(known[name]): path.stem for path, known in declared.items() if name in known}
    if not kinds:
        raise TourError(_unknown_parameter(name, declared))
    if len(kinds) > 1:
        both = ", ".join(f"{kind} in {stem}" for kind, stem in kinds.items())
        raise TourError(f"Parameter {name!r} is declared as {both}: run them apart.")
    return _convert(name, value, *kinds)


def _share(path: Path, params: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `params` that the notebook has: papermill would inject the others too."""
    known = _declared(path) if params else {}
    return {name: value for name, value in params.items() if name in known}


def _declared(path: Path) -> dict[str, dict[str, str]]:
    """papermill's view of a notebook's parameters: name → inferred_type_name, default, help."""
    import papermill

    try:
        return papermill.inspect_notebook(str(path))
    except Exception as error:  # papermill and nbformat raise a dozen kinds for a file that is no notebook
        raise TourError(f"{path} cannot be read as a notebook: {_first_line(error)}") from error


def _unknown_parameter(name: str, declared: Mapping[Path, Mapping[str, Any]]) -> str:
    lines = [f"No notebook of this tour has a parameter called {name!r}. Known:"]
    lines += [f"  {path.stem}: {', '.join(known) or 'none'}" for path, known in declared.items()]
    return "\n".join(lines)


def _convert(name: str, value: Any, kind: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return CONVERTERS.get(kind, str)(value)
    except ValueError:
        hint = " (say true or false)" if kind == "bool" else ""
        raise TourError(f"Parameter {name!r} takes a value of type {kind}, not {value!r}{hint}.") from None


def _type_name(declared: Mapping[str, str]) -> str:
    """The annotated type without its brackets; without an annotation, the type of the default."""
    annotation = declared["inferred_type_name"]
    if annotation != "None":
        return annotation.partition("[")[0].strip()
    try:
        return type(ast.literal_eval(declared["default"])).__name__
    except (ValueError, SyntaxError):
        return "str"


def _bool(text: str) -> bool:
    word = text.strip().lower()
    if word not in TRUE | FALSE:
        raise ValueError(text)
    return word in TRUE


def _list(text: str) -> list[Any]:
    if text.lstrip().startswith("["):
        return json.loads(text)
    return [part.strip() for part in text.split(",") if part.strip()]


CONVERTERS: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "bool": _bool, "list": _list}


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
    With `solve`, the solutions of the exercises run in the place of the stubs, and one that is not right fails.
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
    shares = {path: _share(path, checked) for path in notebooks}
    _prepare(out, notebooks)
    results: list[Result] = []
    with _Progress(len(notebooks), shown=progress) as shown:
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
    """Copies of the notebooks, with the solutions in the place of the stubs."""
    copies = []
    for path in notebooks:
        try:
            notebook = json.loads(path.read_text(encoding="utf-8"))
            solutions.solved(notebook)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TourError(f"{path.name} cannot be solved: {_first_line(error)}") from error
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
    return Result(path, error is None, time.perf_counter() - started, error, ran), interrupted


def _execute(
    path: Path, params: dict[str, Any], target: Path, kernels: Kernels, on_cell: Callable[..., None]
) -> str | None:
    """Run one notebook with papermill; what went wrong in one line, or None."""
    import papermill
    import tenacity
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    # A kernel is told ports that were free a second ago; where another program has one by then it ends before any cell
    # is run (github.com/jupyter/jupyter_client/issues/154).
    start_again = tenacity.retry(stop=tenacity.stop_after_attempt(STARTS), reraise=True,
                                retry=tenacity.retry_if_exception_message(match="Kernel died before replying"))
    try:
        notebook = start_again(papermill.execute_notebook)(
            str(path.resolve()),
            str(target.resolve()),
            parameters=params,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            execution_timeout=kernels.timeout_s,
            start_timeout=START_TIMEOUT_S,
            cwd=str(path.resolve().parent),
            # These go through papermill to nbclient.
            kernel_manager_class=_kernel_manager(kernels.env),
            config=_kernel_config(),
            on_cell_execute=on_cell,
        )
    except papermill.PapermillExecutionError as error:
        where = _where(target, error.cell_index, error.exec_count)
        return f"{where}: {error.ename}: {_first_line(error.evalue)}".rstrip(": ")
    except CellTimeoutError:
        return f"{_last_cell(target)}: still running after {kernels.timeout_s:g} s"
    except DeadKernelError:
        return f"{_last_cell(target)}: the kernel died"
    except Exception as error:  # an unreadable file, a kernel that does not start: the tour goes on
        return f"{type(error).__name__}: {_first_line(error)}"
    hidden = swallowed_errors(notebook)
    return "in a widget's output: " + "; ".join(hidden) if hidden else None


def _kernel_manager(env: Mapping[str, str]) -> type:
    """A kernel manager that runs this very Python, whatever kernelspec JUPYTER_PATH has under "python3"."""
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from traitlets import Type

    # jupyter_client fills in ${...} in a kernelspec's environment; ours is meant literally.
    literal = {name: value.replace("$", "$$") for name, value in env.items()}
    spec = KernelSpec(**{**get_kernel_dict(), "env": literal})

    class ThisPython(AsyncKernelManager):
        client_factory = Type(_patient_client())

        @property
        def kernel_spec(self) -> KernelSpec:
            return spec

    return ThisPython


def _patient_client() -> type:
    """A kernel client that looks for an answer again and again while it waits for one.

    nbclient sends a widget's Output back to the kernel on the channel on which it waits for the cell's reply; a reply
    that comes during a long send is then noticed only when the wait times out (github.com/jupyter/nbclient/issues/312).
    """
    from queue import Empty

    from jupyter_client.asynchronous import AsyncKernelClient
    from jupyter_client.channels import AsyncZMQSocketChannel
    from traitlets import Type

    class LookingAgain(AsyncZMQSocketChannel):
        async def get_msg(  # type: ignore[override]  # the base class's is a coroutine, too, whatever its annotation says
                self, timeout: float | None = None) -> dict[str, Any]:
            deadline = None if timeout is None else time.monotonic() + timeout
            while True:
                left = LOOK_AGAIN_S if deadline is None else max(0.0, deadline - time.monotonic())
                try:
                    return await super().get_msg(min(LOOK_AGAIN_S, left))
                except Empty:
                    if left <= LOOK_AGAIN_S and deadline is not None:
                        raise

    class PatientClient(AsyncKernelClient):
        shell_channel_class = Type(LookingAgain)

    return PatientClient


def _kernel_config() -> Config:
    """Encrypt the kernel's transport where possible: ipykernel 7.3 and later warns on stderr otherwise."""
    import zmq
    from traitlets.config import Config

    return Config({"KernelManager": {"transport_encryption": "auto"}} if zmq.has("curve") else {})


# --- what went wrong ---


def swallowed_errors(nb: NotebookNode) -> list[str]:
    """The errors, as "ename: evalue", that widgets' Outputs hold in an executed notebook."""
    widgets = nb.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    return [
        f"{output.get('ename')}: {_first_line(output.get('evalue', ''))}"
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


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or [""])[0]


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
