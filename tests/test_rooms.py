"""The wall and the rooms: which module may import which. Read from the source, also inside functions."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import gtlab

SOURCE = Path(gtlab.__file__).parent
# The wall: what the learner's half may import from below, and what both halves share.
GATE = ("gtlab.localcloud.process",)
HELPER = ("gtlab.localcloud.liveness",)  # the gate's own helper; imports nothing
SHARED = ("gtlab.contract", "gtlab.regions", "gtlab.judging", "gtlab.permissions", "gtlab.redaction")
# A room may import the rooms that stand before it, and its own modules. Rooms on one line do not import each other.
ABOVE = [("contract", "regions", "intervals", "judging", "failover", "permissions", "prices", "redaction"),
         ("lab",), ("measure", "charts"), ("widgets",), ("course",), ("classroom",), ("cli",)]
BELOW = [("model", "liveness", "lag_model"), ("world", "engine"), ("replication", "unsettled", "accounts"),
         ("observe",), ("tables",), ("globaltables",), ("faults",), ("after_writes", "reads", "control_plane"),
         ("cloud",),
         ("disk",), ("server", "proof")]
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


parsed = cache(ast.parse)  # several tests read each module


def teardown_module():
    parsed.cache_clear()  # hundreds of thousands of objects, which garbage collection would look at in later tests


def statements(tree: ast.AST) -> Iterator[tuple[ast.stmt, ast.AST]]:
    """Every statement in a module, a function or another statement, with the node that it stands in. To walk the
    expressions too takes much longer."""
    for part in ("body", "handlers", "orelse", "finalbody", "cases"):
        for node in getattr(tree, part, ()):
            yield node, tree
            yield from statements(node)


LINE = re.compile(r"^[ \t]*(?:import ([^\n#]*)|from[ \t]+((?:gtlab|\.)\S*)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*))", re.M)


def may_import(module: str, text: str) -> Iterator[Import]:
    """What :func:`imports` finds and perhaps more, such as what stands in a string. To parse every module takes much
    longer, so only those are parsed in which this finds a fault."""
    for found in LINE.finditer(text.replace("\\\n", " ")):
        plain, source, names = found.groups()
        for part in re.findall(r"\w[\w.]*", re.sub(r"\bas\s+\w+|#.*", "", plain or names)):
            if source or part.split(".")[0] == "gtlab":
                yield Import(module, f"{source}.{part}" if source else part, 0)
    yield from (Import(module, name, 0) for name in re.findall(r"import_module\(\s*[\"'](gtlab[\w.]*)", text))


def imports(module: str, text: str) -> Iterator[Import]:
    """Each module of gtlab that a module's text imports, or the name that it imports from one."""
    for node, _ in statements(parsed(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} line {node.lineno}: imports of gtlab are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (Import(module, name, node.lineno) for name in names if name.split(".")[0] == "gtlab")
    for found in re.finditer(r"import_module\(\s*[\"'](gtlab[\w.]*)", text):
        yield Import(module, found[1], text.count("\n", 0, found.start()) + 1)


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


def faults(module: str, text: str) -> list[str]:
    return [f"{found.module} line {found.line} imports {found.imported}: {why}" for found in imports(module, text)
            if (why := fault(found))]


def test_no_import_crosses_the_wall_or_runs_upward():
    texts = {module: path.read_text(encoding="utf-8") for module, path in MODULES.items()}
    assert sum(len(list(may_import(module, text))) for module, text in texts.items()) > 2000
    assert [line for module, text in texts.items() if any(map(fault, may_import(module, text)))
            for line in faults(module, text)] == []


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
    (line,) = faults(module, text)
    assert why in line and any(map(fault, may_import(module, text)))


@pytest.mark.parametrize("text", [
    "import os, gtlab.charts as drawn", "from gtlab import (  # two\n    regions,  # and\n    charts as drawn,\n)",
    "if True:\n\tfrom gtlab.charts.lag \\\n        import lag", "from gtlab import regions, \\\n    charts",
    "from .. import charts", "from ..charts.lag import lag"])
def test_an_import_is_found_however_it_is_written(text):
    assert [each for each in may_import("gtlab.lab.knobs", text) if fault(each)]


@pytest.mark.parametrize("module", ["gtlab.contract", "gtlab.localcloud.model"])
def test_the_words_that_rooms_share_import_nothing_of_gtlab(module):
    assert list(imports(module, MODULES[module].read_text(encoding="utf-8"))) == []


def test_judging_imports_the_standard_library_only():
    import sys

    judging = {module: path for module, path in MODULES.items() if in_any(module, ("gtlab.judging",))}
    assert len(judging) > 1
    for module, path in judging.items():
        names = {alias.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                 if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                  if isinstance(node, ast.ImportFrom) and node.module}
        outside = {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}
        assert all(in_any(name, ("gtlab.judging",)) for name in outside), f"{module} imports {outside}"


def test_what_both_halves_must_agree_on_stands_once():
    """The values of contract's names are written nowhere else in the package."""
    from gtlab import contract

    values = [contract.CALLER_HEADER, contract.CONTROL_PREFIX, contract.HOME_VARIABLE, contract.TOKEN_VARIABLE,
              contract.STATE_FILE, contract.PROCESS_FILE, contract.LOCK_FILE, contract.LOG_FILE, contract.CHOICE_FILE,
              contract.DEFAULT_ACCOUNT, contract.LOOPBACK, contract.TABLE.pattern, contract.ACCOUNT.pattern]
    lists = [set(names) for names in (contract.NETWORKS, contract.FACES, contract.OUTAGES, contract.STRONG_REGIONS)]
    twice = []
    for module, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        if module == "gtlab.contract" or not (any(value in text for value in values)
                                              or any(all(name in text for name in names) for names in lists)):
            continue  # most modules, which need not be parsed
        for node in ast.walk(parsed(text)):
            if isinstance(node, ast.Constant) and node.value in values:
                twice.append(f"{module} line {node.lineno}: {node.value!r}")
            if isinstance(node, ast.Tuple | ast.List | ast.Set):
                members = {each.value for each in node.elts if isinstance(each, ast.Constant)}
                twice += [f"{module} line {node.lineno}: {members}"] * (members in lists)
    assert twice == []


MOST_PARAMETERS = 6  # without self; a function that needs more takes a settings object
# Learners call these in cells, where settings by keyword, with their defaults, read better than an object to build.
BY_KEYWORD = {"gtlab.lab.connection.connect", "gtlab.measure.lag.replication_lag", "gtlab.measure.planning.plan",
              "gtlab.measure.drill.run"}
Function = ast.FunctionDef | ast.AsyncFunctionDef
HEAD = re.compile(r"\bdef \w+\((.*?)(?::(?: *#[^\n]*)?$|\Z)", re.M | re.S)  # of a function, or more than it
INNER = re.compile(r"\[[^\[\]\"']*\]")  # in a type, such as dict[str, int]


def may_have_too_many(text: str) -> bool:
    """Whether a head of a function has that many commas. Only such modules are parsed: there are hundreds of others."""
    return any(head.count(",") >= MOST_PARAMETERS and INNER.sub("", INNER.sub("", head)).count(",") >= MOST_PARAMETERS
               for head in HEAD.findall(text))


def functions(tree: ast.AST, prefix: str) -> Iterator[tuple[str, Function, bool]]:
    """Every function with its dotted name, and whether it is a method."""
    names: dict[ast.AST, str] = {tree: prefix}
    for node, parent in statements(tree):
        names[node] = names[parent]
        if isinstance(node, Function | ast.ClassDef):
            names[node] += f".{node.name}"
        if isinstance(node, Function):
            yield names[node], node, isinstance(parent, ast.ClassDef)


def too_many_parameters(module: str, text: str) -> list[str]:
    found = []
    for name, function, method in functions(parsed(text), module):
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
    texts = [(name, path.read_text("utf-8")) for name, path in paths.items()]
    assert [line for name, text in texts if may_have_too_many(text)
            for line in too_many_parameters(name, text)] == []


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
    assert count is None or may_have_too_many(text)
    found = too_many_parameters("gtlab.lab", text)
    assert found == [] if count is None else [line for line in found if line.endswith(f" has {count} parameters")]


def test_a_public_exception_takes_its_settings_by_keyword_with_a_default():
    module = "gtlab.measure.drill"
    assert too_many_parameters(module, "def run(a, b, c, *, d=1, e=2, f=3, g=4): ...") == []
    assert len(too_many_parameters(module, "def run(a, b, c, d=1, e=2, f=3, g=4): ...")) == 1
    assert len(too_many_parameters(module, "def run(a, b, c, *, d, e=2, f=3, g=4): ...")) == 1


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
    found = [f"{path.name}: {line}" for path in sorted(Path(__file__).parent.glob("*.py"))
             for line in path.read_text(encoding="utf-8").splitlines() if re.match(r"(from|import) test_", line)]
    assert found == [], "what tests share is in a module of its own, such as support.py or chart_cases.py"
