"""The tour, on small notebooks made here: what it finds, passes on, runs and calls a failure."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import wait_until

from gtlab import tour
from gtlab.course.tour import Kernels, Result, TourError

PARAMETERS = """\
samples: int = 20  # how many
source: str = "ap-southeast-1"
quick: bool = True
wait: float = 0.5
targets: list = ["us-east-1"]
plain = 3
"""


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory, monkeypatch):
    """Kernels write their connection and profile files here, not in the home folder."""
    home = tmp_path_factory.mktemp("jupyter")
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(home / name.lower()))


@pytest.fixture
def make(tmp_path):
    """Writes a notebook of the given cells: text starting with "#" is markdown, other text is code."""
    import nbformat  # takes seconds
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    def write(name: str, *cells: str, parameters: str | None = None) -> Path:
        made = [new_markdown_cell(text) if text.startswith("#") else new_code_cell(text) for text in cells]
        if parameters is not None:
            made.insert(0, new_code_cell(parameters, metadata={"tags": ["parameters"]}))
        kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
        path = tmp_path / name
        nbformat.write(new_notebook(cells=made, metadata={"kernelspec": kernel}), path)
        return path

    return write


@pytest.fixture
def run(tmp_path):
    """Runs one notebook into tmp_path/out."""

    def run_one(path: Path, params: dict | None = None, **options) -> Result:
        (result,) = tour.run([path], params or {}, tmp_path / "out", progress=False, **options)
        return result

    return run_one


def text(path: Path) -> str:
    """What the cells of an executed notebook printed."""
    import nbformat

    cells = nbformat.read(path, as_version=4).cells
    outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
    return "".join(output.text for output in outputs if output.output_type == "stream")


# --- finding notebooks ---


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of three, in a folder where other notebooks and files lie too."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for name in ("04_time_it", "00_start_here", "09_clean_up", "draft"):
        (folder / f"{name}.ipynb").write_text("{}")
    (folder / "01_notes.md").touch()
    monkeypatch.setattr(tour, "course_folder", lambda: folder)
    return folder


def test_the_course_is_sorted(course):
    names = [path.name for path in tour.find_notebooks()]
    assert names == ["00_start_here.ipynb", "04_time_it.ipynb", "09_clean_up.ipynb"]


@pytest.mark.parametrize("name", ["04_time_it", "04_time_it.ipynb", "04", "4"])
def test_a_notebook_goes_by_several_names(course, name):
    assert tour.find_notebooks([name]) == [course / "04_time_it.ipynb"]


def test_names_keep_their_order_and_count_once(course):
    found = tour.find_notebooks(["09", "00", "09_clean_up"])
    assert [path.stem for path in found] == ["09_clean_up", "00_start_here"]


def test_any_notebook_may_be_named_by_its_path(course, make):
    path = make("mine.ipynb", "1")
    assert tour.find_notebooks([str(path)]) == [path]


@pytest.mark.parametrize("name", ["05", "nowhere/04.ipynb", "04_time", "01_notes.md", ""])
def test_an_unknown_name_is_told_with_what_there_is(course, name):
    with pytest.raises(TourError, match="04_time_it") as error:
        tour.find_notebooks([name])
    assert repr(name) in str(error.value)


def test_namesakes_would_overwrite_each_other(course, make):
    path = make("04_time_it.ipynb", "1")
    with pytest.raises(TourError, match="Two notebooks"):
        tour.find_notebooks(["04", str(path)])


# --- parameters ---


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("samples", "50", 50),
        ("samples", 50, 50),
        ("source", "123", "123"),
        ("source", "true", "true"),
        ("quick", "false", False),
        ("quick", "0", False),
        ("quick", "No", False),
        ("quick", "TRUE", True),
        ("wait", "2", 2.0),
        ("targets", "eu-west-1, us-west-2", ["eu-west-1", "us-west-2"]),
        ("targets", '["eu-west-1"]', ["eu-west-1"]),
        ("plain", "7", 7),
    ],
)
def test_values_take_the_declared_type(make, name, given, value):
    path = make("typed.ipynb", parameters=PARAMETERS)
    converted = tour.check_parameters([path], {name: given})
    assert converted == {name: value}
    assert type(converted[name]) is type(value)


@pytest.mark.parametrize(
    ("name", "given", "kind"),
    [
        ("samples", "many", "int"),
        ("samples", "1.5", "int"),
        ("quick", "maybe", "bool"),
        ("quick", "", "bool"),
        ("wait", "long", "float"),
        ("targets", "[us", "list"),
    ],
)
def test_a_bad_value_is_told_with_its_type(make, name, given, kind):
    path = make("typed.ipynb", parameters=PARAMETERS)
    with pytest.raises(TourError, match=f"{name}.*{kind}") as error:
        tour.check_parameters([path], {name: given})
    assert repr(given) in str(error.value)


@pytest.mark.notebooks
def test_a_parameter_goes_only_to_notebooks_that_have_it(make, tmp_path):
    one = make("one.ipynb", "print(samples)", parameters=PARAMETERS)
    two = make("two.ipynb", "print('samples' in globals())")
    results = tour.run([one, two], {"samples": "5"}, tmp_path / "out", progress=False)
    assert all(result.ok for result in results)
    assert text(tmp_path / "out" / "one.ipynb") == "5\n"
    assert text(tmp_path / "out" / "two.ipynb") == "False\n"


def test_checked_parameters_may_be_checked_again(make):
    path = make("typed.ipynb", parameters=PARAMETERS)
    once = tour.check_parameters([path], {"source": "007", "quick": "no", "targets": "a,b"})
    assert once == {"source": "007", "quick": False, "targets": ["a", "b"]}
    assert tour.check_parameters([path], once) == once


def test_a_parameter_of_two_types_is_refused(make):
    one, two = make("one.ipynb", parameters="n: int = 1"), make("two.ipynb", parameters="n: str = 'a'")
    with pytest.raises(TourError, match="int in one, str in two"):
        tour.check_parameters([one, two], {"n": "5"})


def test_an_unknown_parameter_is_told_with_those_there_are(make, tmp_path):
    one, two = make("one.ipynb", parameters=PARAMETERS), make("two.ipynb", "1")
    with pytest.raises(TourError) as error:
        tour.run([one, two], {"sample": "5"}, tmp_path / "out")
    assert "'sample'" in str(error.value)
    assert "one: samples, source" in str(error.value)
    assert "two: none" in str(error.value)
    assert not (tmp_path / "out").exists()  # refused before anything was done


def test_a_file_that_is_no_notebook_is_told(tmp_path):
    path = tmp_path / "broken.ipynb"
    path.write_text("not json")
    with pytest.raises(TourError, match=r"broken\.ipynb"):
        tour.check_parameters([path], {"samples": "5"})


# --- running ---


@pytest.mark.notebooks
def test_a_passing_notebook(make, run, tmp_path, capfd):
    path = make("good.ipynb", "# Hello", "print(samples, source, quick)", "1 + 1", parameters=PARAMETERS)
    result = run(path, {"samples": "3", "source": "007", "quick": "false"})
    assert result.ok and result.error is None
    assert result.notebook == path
    assert result.cells == 4  # its three, and the one that papermill injects
    assert result.seconds > 0
    assert text(tmp_path / "out" / "good.ipynb") == "3 007 False\n"
    assert capfd.readouterr().err == ""  # no transport warning, no bar


@pytest.mark.notebooks
def test_the_kernel_is_this_python_in_the_notebooks_folder(make, run, tmp_path, monkeypatch):
    impostor = tmp_path / "share" / "kernels" / "python3"
    impostor.mkdir(parents=True)
    spec = {"argv": ["/bin/false"], "display_name": "x", "language": "python"}
    (impostor / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    path = make("where.ipynb", "import os, sys\nprint(sys.executable, os.getcwd(), os.environ['GTLAB_X'])")
    result = run(path, kernels=Kernels({"GTLAB_X": "a $PATH ${HOME}"}))
    assert result.ok, result.error
    assert text(tmp_path / "out" / "where.ipynb").strip() == f"{sys.executable} {tmp_path} a $PATH ${{HOME}}"


@pytest.mark.notebooks
def test_a_failing_notebook_is_told_by_heading_and_left_for_inspection(make, run, tmp_path):
    path = make("bad.ipynb", "# Title", "1", "## Divide\nSome text.", "2", "1 / 0", "print('never')")
    result = run(path)
    assert not result.ok
    assert result.error == 'cell In [3], under "Divide": ZeroDivisionError: division by zero'
    assert "ZeroDivisionError" in (tmp_path / "out" / "bad.ipynb").read_text()
    assert "papermill" not in path.read_text()  # the original is untouched


@pytest.mark.notebooks
@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
def test_no_kernel_is_left_not_even_one_that_refuses_to_end(make, tmp_path):
    paths = [make("good.ipynb", "import os", "print(os.getpid())"),
             make("stubborn.ipynb", "import atexit, os, signal, time",
                  "signal.signal(signal.SIGTERM, signal.SIG_IGN); _ = atexit.register(time.sleep, 60)",
                  "print(os.getpid())")]
    tour.run(paths, {}, tmp_path / "out", progress=False)
    for path in paths:
        with pytest.raises(ProcessLookupError):
            os.kill(int(text(tmp_path / "out" / path.name)), 0)


@pytest.mark.notebooks
def test_a_failure_does_not_stop_the_tour(make, tmp_path, capsys):
    paths = [make("a.ipynb", "1 / 0"), make("b.ipynb", "1")]
    results = tour.run(paths, {}, tmp_path / "out")
    assert [result.ok for result in results] == [False, True]
    lines = capsys.readouterr().err.splitlines()  # no terminal: a line each
    assert len(lines) == 2
    assert "ZeroDivisionError" in lines[0] and lines[1].endswith("ok")


SWALLOWED = {
    "with": """
out = widgets.Output()
with out:
    1 / 0
""",
    "nested": """
outer, out = widgets.Output(), widgets.Output()
with outer:
    display(out)
with out:
    1 / 0
""",
    "capture": """
out = widgets.Output()
@out.capture()
def draw():
    1 / 0
draw()
""",
    "interact": "widgets.interact(lambda n: 1 / n, n=(0, 0))",
    "interactive_output": "widgets.interactive_output(lambda n: 1 / n, {'n': widgets.IntSlider(value=0)})",
}


@pytest.mark.notebooks
@pytest.mark.parametrize("pattern", SWALLOWED)
def test_an_error_swallowed_by_a_widget_is_a_failure(make, run, tmp_path, pattern):
    import nbformat

    path = make("hidden.ipynb", "import ipywidgets as widgets", SWALLOWED[pattern], "print('went on')")
    result = run(path)
    executed = nbformat.read(tmp_path / "out" / "hidden.ipynb", as_version=4)
    assert text(tmp_path / "out" / "hidden.ipynb").endswith("went on\n")  # papermill saw nothing wrong
    assert "ZeroDivisionError: division by zero" in tour.swallowed_errors(executed)
    assert not result.ok
    assert "widget" in result.error and "ZeroDivisionError: division by zero" in result.error


@pytest.mark.notebooks
def test_a_widget_without_errors_is_none(make, run):
    cells = "import ipywidgets as widgets", "out = widgets.Output()\nwith out:\n    print('fine')\nout"
    assert run(make("fine.ipynb", *cells)).ok


def test_swallowed_errors_of_a_notebook_without_widgets():
    from nbformat.v4 import new_notebook

    assert tour.swallowed_errors(new_notebook()) == []


@pytest.mark.notebooks
def test_a_cell_that_takes_too_long(make, run):
    path = make("slow.ipynb", "1", "# Wait", "import time\ntime.sleep(600)")
    result = run(path, kernels=Kernels(timeout_s=10))
    assert not result.ok
    assert 'under "Wait"' in result.error and "still running after 10 s" in result.error


@pytest.mark.notebooks
def test_a_kernel_that_dies(make, run):
    result = run(make("dead.ipynb", "# Bye", "import os\nos._exit(1)"))
    assert not result.ok
    assert "Bye" in result.error and "died" in result.error


ENDS = """
import os, pathlib
if not (at := pathlib.Path(os.environ["GTLAB_ENDS"])).exists() or at.read_text() == "always":
    at.touch()
    os._exit(1)
"""


@pytest.mark.notebooks
@pytest.mark.parametrize("ends", ["once", "always"])
def test_a_kernel_that_ends_before_it_answers_is_started_again(make, run, tmp_path, ends):
    (tmp_path / "sitecustomize.py").write_text(ENDS)  # what every Python of that path runs first
    if ends == "always":
        (tmp_path / "ends").write_text(ends)
    result = run(make("good.ipynb", "print('ran')"),
                 kernels=Kernels({"PYTHONPATH": str(tmp_path), "GTLAB_ENDS": str(tmp_path / "ends")}))
    assert result.ok == (ends == "once")
    assert ends == "once" or "Kernel died" in result.error


@pytest.mark.notebooks
def test_a_file_that_is_no_notebook_fails_alone(make, tmp_path):
    broken = tmp_path / "broken.ipynb"
    broken.write_text("not json")
    results = tour.run([broken, make("b.ipynb", "1")], {}, tmp_path / "out", progress=False)
    assert [result.ok for result in results] == [False, True]


def test_executed_copies_never_replace_the_notebooks(make, tmp_path):
    path = make("good.ipynb", "1")
    with pytest.raises(TourError, match="another folder"):
        tour.run([path], {}, tmp_path)


def test_an_out_folder_that_is_a_file(make, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(TourError, match="taken"):
        tour.run([make("good.ipynb", "1")], {}, tmp_path / "taken")


@pytest.mark.notebooks
def test_ctrl_c_keeps_what_was_done(make, tmp_path):
    begun = tmp_path / "begun"
    paths = [
        make("a.ipynb", "1"),
        make("b.ipynb", f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\ntime.sleep(600)"),
        make("c.ipynb", "1"),
    ]
    code = (
        "import sys; from pathlib import Path; from gtlab import tour\n"
        "paths = [Path(p) for p in sys.argv[2:]]\n"
        "print(tour.table(tour.run(paths, {}, Path(sys.argv[1]), progress=False)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "out"), *map(str, paths)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True, cwd=Path(__file__).parents[1]
    )
    wait_until(begun.exists, "the second notebook's cell to run", seconds=300)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert [line.split()[:2] for line in printed.splitlines()[2:4]] == [["a", "ok"], ["b", "FAILED"]]
    assert "c" not in [line.split()[0] for line in printed.splitlines()]
    assert (tmp_path / "out" / "a.ipynb").exists()


# --- telling ---


def test_the_table_is_aligned_and_totals():
    results = [
        Result(Path("n/00_start_here.ipynb"), True, 1.24, None, 5),
        Result(Path("n/04_time_it.ipynb"), False, 120.5, "boom", 7),
    ]
    assert tour.table(results).splitlines() == [
        "notebook       result    seconds",
        "--------------------------------",
        "00_start_here  ok            1.2",
        "04_time_it     FAILED      120.5",
        "--------------------------------",
        "2 notebooks    1 failed    121.7",
    ]


def test_the_module_is_light():
    code = "import gtlab.course.tour, sys; print({'papermill', 'nbformat', 'pandas'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


@pytest.mark.notebooks
def test_a_large_figure_in_an_output_does_not_stall_the_notebook(make, run):
    """nbclient misses the cell's reply while it sends a large Output back: github.com/jupyter/nbclient/issues/312."""
    path = make("big.ipynb", "import ipywidgets\nfrom IPython.display import display\nout = ipywidgets.Output()\n"
                "with out:\n    display({'application/json': {'x': list(range(30000))}, 'text/plain': ''}, raw=True)")
    result = run(path, kernels=Kernels(timeout_s=120))  # a reply that was missed is waited for so long, and no longer
    assert result.ok, result.error
