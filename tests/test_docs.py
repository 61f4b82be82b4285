"""The documentation names what exists: modules, functions, tests, files, links, commands and their options."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import click
import pytest
import sources

from gtlab.cli import main as gtlab_command

ROOT = Path(__file__).parents[1]
RULES = [ROOT / "docs/rules.md", ROOT / "docs/local-cloud.md"]
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md"),
                *ROOT.glob("notebooks/*.md"), ROOT / "gtlab/data/SOURCES.md"])
# Code spans that begin with one of these are paths in the repository.
FOLDERS = ("gtlab/", "tests/", "docs/", "notebooks/", "benchmarks/", ".github/", ".ci/")
# Made while gtlab runs or is built, so not in the repository.
MADE = ("out/", "dist/", "gtlab-course/")

pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="needs a checkout")


def teardown_module():
    sources.forget()


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def spans(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def without_blocks(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S)


def blocks(text: str) -> list[str]:
    return re.findall(r"^ *```[a-z]*\n(.*?)^ *```", text, flags=re.M | re.S)


@cache
def defined(path: Path) -> frozenset[str]:
    """The functions, classes, methods and assigned names of a Python file."""
    names = set()
    for node, _ in sources.statements(sources.tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
    return frozenset(names)


@cache
def names_of_tests() -> frozenset[str]:
    return frozenset().union(*map(defined, (ROOT / "tests").glob("test_*.py")))


@cache
def modules() -> tuple[Path, ...]:
    return tuple((ROOT / "gtlab").rglob("*.py"))


@cache
def files_of(module: str) -> tuple[Path, ...]:
    """The files of every module or package whose last name is this one."""
    return tuple(path for path in modules() if path.stem == module or module in path.parent.parts[-1:])


def exists_in(module: str, name: str) -> bool:
    return any(name in defined(path) for path in files_of(module))


def tables(text: str) -> Iterator[list[list[str]]]:
    """Every table of a page: its rows, each a list of cells."""
    for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.M):
        yield [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in table.splitlines()]


def rules(text: str) -> list[tuple[str, str, str]]:
    """(rule, where, test) of every table that has these columns."""
    return [tuple(row) for rows in tables(text) if rows[0] == ["Rule", "Where", "Test"] for row in rows[2:]]


def missing_places(where: str) -> list[str]:
    """The names in a cell such as "`current.describe`, `_find`, `streams`" that do not exist.

    A name alone is a module, or it belongs to the module that was named before it.
    """
    missing, module = [], ""
    for name in spans(where):
        head, _, attribute = name.rpartition(".")
        if head:
            module = head.rpartition(".")[2]
            found = exists_in(module, attribute)
        elif files_of(name):
            module, found = name, True
        else:
            found = exists_in(module, name)
        missing += [] if found else [name]
    return missing


def missing_tests(cell: str, default: str = "") -> list[str]:
    """The tests in a cell that do not exist: "test_file.py", "test_file::test_name", or a name in any test file."""
    missing = []
    for name in spans(cell):
        file, _, test = name.rpartition("::")
        if name.endswith(".py"):
            found = (ROOT / "tests" / name).is_file()
        elif file:
            path = ROOT / "tests" / f"{file.removesuffix('.py')}.py"
            found = path.is_file() and test in defined(path)
        else:
            found = name in names_of_tests()
        missing += [] if found else [name]
    return missing


@pytest.mark.parametrize("page", RULES, ids=lambda page: page.name)
def test_every_rule_names_code_and_tests_that_exist(page):
    listed = rules(read(page))
    assert len(listed) > 10
    wrong = [(rule, *missing) for rule, where, test in listed
             if (missing := [*missing_places(where), *missing_tests(test)])]
    assert not wrong


def test_a_name_that_does_not_exist_is_noticed():
    assert missing_places("`world.KNOBS`, `Knob`, `replication`") == []
    assert missing_places("`world.KNOBZ`, `Knob`, `knobs_of_nobody`") == ["world.KNOBZ", "knobs_of_nobody"]
    assert missing_tests("`test_docs::test_no`, `test_nothing.py`") == ["test_docs::test_no", "test_nothing.py"]
    assert missing_tests("`test_a_name_that_does_not_exist_is_noticed`, `test_docs.py`") == []


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"<[^>]*>", "", without_blocks(read(page))), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_glossary_has_the_anchors_of_github_also_for_jupyterlab():
    """JupyterLab's own anchors are other ones (`Lost-write`), so the page brings those of GitHub."""
    brought = re.findall(r'^### <a id="([^"]+)"></a>\S', read(ROOT / "notebooks/glossary.md"), flags=re.M)
    terms = re.findall("^### ", read(ROOT / "notebooks/glossary.md"), flags=re.M)
    assert len(brought) == len(set(brought)) == len(terms) and set(brought) <= anchors(ROOT / "notebooks/glossary.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page):
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(read(page))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        to = (page.parent / file).resolve() if file else page
        if not to.exists() or (anchor and anchor not in anchors(to)):
            wrong.append(target)
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_exists(page):
    wrong = [span for span in spans(without_blocks(read(page)))
             if span.startswith(FOLDERS) and not span.startswith(MADE)
             and not any(ROOT.glob(span.partition("::")[0].rstrip("/")))]
    assert not wrong


def commands(text: str) -> Iterator[list[str]]:
    """The words of every command in a page's code blocks and code spans."""
    lines = spans(without_blocks(text))
    for block in map(str.splitlines, blocks(text)):
        typed = [line for line in block if line.startswith("$ ")]  # the other lines are then output
        lines += typed or block
    for line in lines:
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # prose, or another language
            continue
        words = [re.split(r"[/\\]", word)[-1] if word.startswith(".venv") else word for word in words]
        yield words[1:] if words[:1] == ["$"] else words


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", read(ROOT / "Makefile"), flags=re.M))


def module_exists(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return not name.startswith("gtlab") or path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def wrong_with(words: list[str]) -> str:
    """Why a command cannot work, or an empty string."""
    if words[:1] == ["make"]:
        asked = [word for word in words[1:] if re.fullmatch(r"[a-z][a-z-]*", word)]
        return next((f"no target {word}" for word in asked if word not in targets()), "")
    if words[:1] in (["python"], ["python3"]) and len(words) > 1:
        if words[1] == "-m" and len(words) > 2:
            return "" if module_exists(words[2]) else f"no module {words[2]}"
        if re.fullmatch(r"[\w./-]+", words[1]) and not words[1].startswith("-"):
            return "" if (ROOT / words[1]).exists() else f"no file {words[1]}"
    if words[:1] == ["gtlab"]:
        return wrong_with_gtlab(words[1:])
    return ""


def wrong_with_gtlab(words: list[str]) -> str:
    command: click.Command = gtlab_command
    while words and isinstance(command, click.Group) and re.fullmatch(r"[a-z-]+", words[0]):
        if words[0] not in command.commands:
            return f"no command gtlab {words[0]}" if not words[0].startswith("-") else ""
        command, words = command.commands[words[0]], words[1:]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    asked = [word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)]
    return next((f"no option {option} of {command.name}" for option in asked if option not in known | {"--help"}), "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_exists(page):
    wrong = [(" ".join(words), why) for words in commands(read(page)) if (why := wrong_with(words))]
    assert not wrong


def test_a_command_that_does_not_exist_is_noticed():
    page = "Run `make nothing`, `gtlab nothing` or `gtlab up --nothing`:\n```bash\npython benchmarks/nothing.py\n```\n"
    assert [why for words in commands(page) if (why := wrong_with(words))] == [
        "no target nothing", "no command gtlab nothing", "no option --nothing of up", "no file benchmarks/nothing.py"]
    good = "`make lint`, `gtlab world lag 5`, `gtlab up --network fast`, `python benchmarks/start.py 3`"
    assert not any(wrong_with(words) for words in commands(good))


def tree(text: str) -> list[str]:
    """The paths of the code block that draws the repository as an indented tree."""
    drawn = next(block for block in blocks(text) if block.startswith("gtlab/"))
    paths, folders = [], [(-1, "")]
    for line in drawn.splitlines():
        indent, names = len(line) - len(line.lstrip()), re.split(r" {2,}", line.strip())[0].split(", ")
        while folders[-1][0] >= indent:
            folders.pop()
        paths += [folders[-1][1] + name for name in names]
        if names[0].endswith("/"):
            folders.append((indent, folders[-1][1] + names[0]))
    return paths


def test_the_tree_of_rooms_is_true_and_complete():
    drawn = tree(read(CONTRIBUTING))
    assert [path for path in drawn if not (ROOT / path).exists()] == []
    rooms = {f"{path.parent.relative_to(ROOT).as_posix()}/" for path in (ROOT / "gtlab").rglob("__init__.py")}
    assert rooms - set(drawn) == set()


def test_where_is_what_names_files_and_what_is_in_them():
    rows = next(rows for rows in tables(read(CONTRIBUTING)) if rows[0] == ["What", "File", "Name"])[2:]
    assert len(rows) >= 4
    for what, file, names in rows:
        path = ROOT / spans(file)[0]
        assert path.is_file(), what
        missing = [name for name in spans(names)
                   if not all(part in defined(path) for part in name.split(".")[-1:])]
        assert not missing, (what, missing)


def test_headings_of_a_page_are_different():
    for page in PAGES:
        if page.name == "CHANGELOG.md":  # the same headings for each release
            continue
        headings = sorted(re.findall(r"^#+ (.*)$", without_blocks(read(page)), flags=re.M))
        assert not [heading for heading, after in pairwise(headings) if heading == after], page.name


def test_contributing_lists_every_benchmark_and_every_one_is_run():
    scripts = {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - {"__main__"}
    listed = re.search(r"^\| Benchmark .*?\n\n", read(CONTRIBUTING), re.M | re.S)
    assert listed and set(re.findall(r"^\| `(\w+)`", listed[0], re.M)) == scripts
    runner = ast.parse(read(ROOT / "benchmarks/__main__.py"))
    run = [ast.literal_eval(node.value) for node in runner.body if isinstance(node, ast.Assign)
           and node.targets[0].id in ("USUAL", "LONG")]
    assert set().union(*run) == scripts


def test_the_readme_shows_pictures_that_are_small_and_described():
    used = {path: alt for alt, path in re.findall(r"!\[([^]]*)\]\(([^)]+)\)", read(ROOT / "README.md"))}
    kept = {f"docs/images/{path.name}" for path in (ROOT / "docs/images").iterdir() if path.suffix in (".png", ".webp")}
    assert set(used) == kept and len([path for path in used if path.endswith(".png")]) == 3
    for path, alt in used.items():
        assert len(alt.split()) >= 8, f"{path} needs an alt text that says what is seen"
        assert (ROOT / path).stat().st_size < (1_000_000 if path.endswith(".webp") else 300_000), path
