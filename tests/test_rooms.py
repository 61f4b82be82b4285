"""The wall and the rooms: which module may import which. Read from the source, also inside functions."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import sources

import gtlab
from gtlab import contract

SOURCE = Path(gtlab.__file__).parent
# The wall: what the learner's half may import from below, and what both halves share.
GATE = ("gtlab.localcloud.process",)
# The gate's own helper, which imports nothing; and which release wrote a state, for a question before it is deleted.
HELPER = ("gtlab.localcloud.liveness", "gtlab.localcloud.disk.version")
SHARED = ("gtlab.contract", "gtlab.regions", "gtlab.judging", "gtlab.permissions", "gtlab.redaction")
# A room may import the rooms that stand before it, and its own modules. Rooms on one line do not import each other.
ABOVE = [("contract", "regions", "intervals", "judging", "failover", "permissions", "prices", "redaction"),
         ("lab",), ("measure", "charts"), ("widgets",), ("course",), ("classroom",), ("cli",)]
BELOW = [("model", "liveness", "lag_model"), ("world", "engine"), ("replication", "unsettled", "accounts"),
         ("observe",), ("tables",), ("globaltables",), ("faults",),
         ("after_writes", "reads", "control_plane", "other_services", "undo"), ("cloud",), ("disk",),
         ("server", "proof")]
# Modules that are no room: they say how to start a room's program, or give names for notebooks (only when asked). They
# may import any room on their side of the wall.
DOORS = ("gtlab", "gtlab.__main__", "gtlab.localcloud", "gtlab.localcloud.__main__")


class Import(NamedTuple):
    module: str    # that imports
    imported: str  # a module of gtlab, or a name in one
    line: int


def module_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sorted(SOURCE.rglob("*.py"))}


def teardown_module():
    sources.forget()


def imports(module: str, tree: ast.Module) -> Iterator[Import]:
    """Each module of gtlab that a module imports, or the name that it imports from one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names]
        elif (isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module"
              and isinstance(node.args[0], ast.Constant)):
            names = [node.args[0].value]
        else:
            continue
        yield from (Import(module, name, node.lineno) for name in names if name.split(".")[0] in ("gtlab", ""))


def below(name: str) -> bool:
    return name.startswith("gtlab.localcloud.") or name == "gtlab.localcloud"


def in_any(name: str, modules: tuple[str, ...]) -> bool:
    return any(name == module or name.startswith(module + ".") for module in modules)


def floor(name: str) -> int | None:
    """How high a module's room stands on its side of the wall; None for what is no room."""
    rooms, prefix = (BELOW, "gtlab.localcloud.") if below(name) else (ABOVE, "gtlab.")
    room = name.removeprefix(prefix).split(".")[0]
    return next((at for at, names in enumerate(rooms) if room in names), None)


def room(name: str) -> str:
    return ".".join(name.split(".")[:3 if below(name) else 2])


def fault(found: Import) -> str | None:
    """What is wrong with an import; None if nothing."""
    where, what = found.module, found.imported
    if what.startswith("."):
        return "is relative; name the module from gtlab on"
    if what == "gtlab.__version__" or in_any(what, SHARED) or room(where) == room(what):
        return None
    if below(where) != below(what):
        if below(where) or not in_any(what, GATE):
            return "crosses the wall"
        return None
    if where in DOORS:
        return None
    if in_any(where, GATE):
        return None if in_any(what, HELPER) else "the process module starts the server as a program and imports " \
                                                   "nothing of it"
    here, there = floor(where), floor(what)
    if here is None or there is None:
        return "is in no room that this test knows"
    return None if there < here else "runs upward, or across"


def faults(found: Iterable[Import]) -> list[str]:
    return [f"{each.module} line {each.line} imports {each.imported}: {why}" for each in found if (why := fault(each))]


def test_no_import_crosses_the_wall_or_runs_upward():
    found = [each for module, path in MODULES.items() for each in imports(module, sources.tree(path))]
    assert len(found) > 2000
    assert faults(found) == []


def test_every_module_is_in_a_room():
    known = [module for module in MODULES if module in DOORS or in_any(module, GATE) or floor(module) is not None]
    assert known == list(MODULES)


@pytest.mark.parametrize(("module", "text", "why"), [
    ("gtlab.lab.connection", "from gtlab.localcloud import engine", "crosses the wall"),
    ("gtlab.lab.connection", "import gtlab.localcloud.world", "crosses the wall"),
    ("gtlab.localcloud.cloud", "from gtlab.lab import Lab", "crosses the wall"),
    ("gtlab.localcloud.engine.items", "from gtlab import charts", "crosses the wall"),
    ("gtlab.localcloud.__main__", "import gtlab.charts", "crosses the wall"),
    ("gtlab.localcloud.cloud", "import importlib\nimportlib.import_module('gtlab.charts')", "crosses the wall"),
    ("gtlab.measure.lag", "def late():\n    from gtlab.course import stages", "runs upward"),
    ("gtlab.charts.lag", "from gtlab import measure", "across"),
    ("gtlab.localcloud.replication", "from gtlab.localcloud.disk.store import Store", "runs upward"),
    ("gtlab.localcloud.process", "from gtlab.localcloud.world import World", "the process module"),
    ("gtlab.lab.connection", "from gtlab.attic import things", "in no room"),
])
def test_such_imports_are_found(module, text, why):
    (line,) = faults(imports(module, sources.parsed(text)))
    assert why in line


@pytest.mark.parametrize("text", [
    "import os, gtlab.charts as drawn", "from gtlab import (  # two\n    regions,  # and\n    charts as drawn,\n)",
    "if True:\n\tfrom gtlab.charts.lag \\\n        import lag", "from gtlab import regions, \\\n    charts",
    "from .. import charts", "from ..charts.lag import lag"])
def test_an_import_is_found_however_it_is_written(text):
    assert faults(imports("gtlab.lab.knobs", sources.parsed(text)))


def test_every_room_says_what_it_may_import():
    rooms = {module: path for module, path in MODULES.items()
             if path.name == "__init__.py" and module not in DOORS and room(module) == module}
    assert len(rooms) > 15
    said = {module: ast.get_docstring(sources.tree(path)) or "" for module, path in rooms.items()}
    assert [module for module, text in said.items() if "import" not in text.lower()] == []


@pytest.mark.parametrize("module", ["gtlab.contract", "gtlab.localcloud.model"])
def test_the_words_that_rooms_share_import_nothing_of_gtlab(module):
    assert list(imports(module, sources.tree(MODULES[module]))) == []


def test_judging_imports_the_standard_library_only():
    judging = {module: path for module, path in MODULES.items() if in_any(module, ("gtlab.judging",))}
    assert len(judging) > 1
    for module, path in judging.items():
        names = set()
        for node in ast.walk(sources.tree(path)):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            if isinstance(node, ast.ImportFrom):
                names.add(node.module)
        outside = {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}
        assert all(in_any(name, ("gtlab.judging",)) for name in outside), f"{module} imports {outside}"


# Contract's values that are also ordinary words, and so stand elsewhere with another meaning.
WORDS = (contract.HISTORIC, contract.REFUSED, contract.BUILT_IN, contract.ACCOUNTS_FOLDER)
# The disk format says by itself what it holds, so that a change of contract does not change it.
FORMAT = "gtlab.localcloud.disk.format"


def test_what_both_halves_must_agree_on_stands_once():
    """The values of contract's names are written nowhere else in the package."""
    shared = [value for name, value in vars(contract).items() if name.isupper()]
    values = {getattr(value, "pattern", value) for value in shared if isinstance(value, str | re.Pattern)} - {*WORDS}
    lists = [set(value) for value in shared if isinstance(value, tuple)]
    assert len(values) > 20 and len(lists) > 4
    twice = []
    for module, path in MODULES.items():
        for node in ast.walk(sources.tree(path)):
            if module == "gtlab.contract":
                continue
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in values:
                twice.append(f"{module} line {node.lineno}: {node.value!r}")
            if isinstance(node, ast.Tuple | ast.List | ast.Set) and module != FORMAT:
                members = {each.value for each in node.elts if isinstance(each, ast.Constant)}
                twice += [f"{module} line {node.lineno}: {members}"] * (members in lists)
    assert twice == []


MOST_PARAMETERS = 6  # without self; a function that needs more takes a settings object
# Learners call these in cells, where settings by keyword, with their defaults, read better than an object to build.
BY_KEYWORD = {"gtlab.lab.connection.connect", "gtlab.measure.lag.replication_lag", "gtlab.measure.planning.plan",
              "gtlab.measure.drill.run"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST, prefix: str) -> Iterator[tuple[str, Function, bool]]:
    """Every function with its dotted name, and whether it is a method."""
    names: dict[ast.AST, str] = {tree: prefix}
    for node, parent in sources.statements(tree):
        names[node] = names[parent]
        if isinstance(node, Function | ast.ClassDef):
            names[node] += f".{node.name}"
        if isinstance(node, Function):
            yield names[node], node, isinstance(parent, ast.ClassDef)


def too_many_parameters(module: str, tree: ast.Module) -> list[str]:
    found = []
    for name, function, method in functions(tree, module):
        of = function.args
        given = [*of.posonlyargs, *of.args]
        count = len(given) - (method and bool(given) and given[0].arg in ("self", "cls"))
        if name not in BY_KEYWORD or None in of.kw_defaults:
            count += len(of.kwonlyargs)
        count += bool(of.vararg) + bool(of.kwarg)
        # click passes a command one parameter for each of its options.
        command = any(isinstance(each, ast.Call) and ast.unparse(each.func).endswith((".command", ".group"))
                      for each in function.decorator_list)
        if count > MOST_PARAMETERS and not command:
            found.append(f"{name} (line {function.lineno}) has {count} parameters")
    return found


def test_no_function_has_too_many_parameters():
    root = Path(__file__).parent.parent
    assert MODULES.keys() >= {name.rpartition(".")[0] for name in BY_KEYWORD}
    others = [path for folder in ("tests", "benchmarks") for path in sorted((root / folder).rglob("*.py"))]
    paths = MODULES | {str(path.relative_to(root)): path for path in others}
    assert len(others) > 10
    assert [line for name, path in paths.items() for line in too_many_parameters(name, sources.tree(path))] == []


@pytest.mark.parametrize(("text", "count"), [
    ("def f(a, b, c, d, e, f): ...", None),
    ("def f(a, b, c, d, e, f, g): ...", 7),
    ("async def f(a, b, c, *, d, e, f=1, **g): ...", 7),
    ("try:\n    pass\nexcept OSError:\n    with a:\n        def f(a, b, c, d, e, f, g): ...", 7),
    ("for a in b:\n    pass\nelse:\n    match a:\n        case 1:\n            def f(a, b, c, d, e, f, g): ...", 7),
    ("class A:\n    def f(self, a, b, c, d, e, f): ...", None),
    ("class A:\n    def f(self, a, b, c, d, e, f, g): ...", 7),
    ("def outer():\n    def f(a, b, c, d, e, f, *g): ...", 7),
    ("@click.command()\ndef f(a, b, c, d, e, f, g): ...", None),
])
def test_functions_with_too_many_parameters_are_found(text, count):
    found = too_many_parameters("gtlab.lab", sources.parsed(text))
    assert found == [] if count is None else [line for line in found if line.endswith(f" has {count} parameters")]


@pytest.mark.parametrize(("text", "wrong"), [
    ("def run(a, b, c, *, d=1, e=2, f=3, g=4): ...", 0), ("def run(a, b, c, d=1, e=2, f=3, g=4): ...", 1),
    ("def run(a, b, c, *, d, e=2, f=3, g=4): ...", 1)])
def test_a_public_exception_takes_its_settings_by_keyword_with_a_default(text, wrong):
    assert len(too_many_parameters("gtlab.measure.drill", sources.parsed(text))) == wrong


@pytest.mark.parametrize("module", ["gtlab.localcloud.observe.journal", "gtlab.localcloud.observe.metrics"])
def test_observing_does_not_load_the_engine(module):
    loads = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True).stdout.split()
    assert module in loaded
    assert not {"ministack", "boto3", "gtlab.localcloud.engine"} & set(loaded)


def test_the_local_cloud_needs_no_other_emulator():
    """The tests have one as a second voice; who installs gtlab does not."""
    loads = "import sys; sys.modules['ministack'] = None; import gtlab.localcloud.server.main"
    subprocess.run([sys.executable, "-c", loads], check=True)


def test_no_test_imports_a_test():
    paths = sorted(Path(__file__).parent.glob("*.py"))
    found = [f"{path.name} line {node.lineno}" for path in paths for node in ast.walk(sources.tree(path))
             if (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("test_"))
             or (isinstance(node, ast.Import) and any(each.name.startswith("test_") for each in node.names))]
    assert len(paths) > 50
    assert found == [], "what tests share is in a module of its own, such as support.py or chart_cases.py"
