"""pyproject.toml, environment.yml and requirements.lock say the same; the wheel is the whole product."""

import email
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from itertools import chain
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import gtlab

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "requirements.lock").read_text()
unix = pytest.mark.skipif(sys.platform == "win32", reason="links packages, which Windows may forbid")
LOCKED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ \\]+)", re.MULTILINE)


def ranges(lines: list[str]) -> dict[str, SpecifierSet]:
    requirements = [Requirement(line) for line in lines]
    return {canonicalize_name(each.name): each.specifier for each in requirements}


def conda() -> tuple[list[str], list[str]]:
    """environment.yml's own lines, and those under pip."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    lines = [line for line in environment["dependencies"] if isinstance(line, str)]
    (pip,) = [line["pip"] for line in environment["dependencies"] if isinstance(line, dict)]
    return lines, pip


def locked() -> dict[str, list[Version]]:
    """Name → locked versions; several where the version depends on the Python or the system."""
    versions: dict[str, list[Version]] = {}
    for match in LOCKED.finditer(LOCK):
        versions.setdefault(canonicalize_name(match["name"]), []).append(Version(match["version"]))
    return versions


def test_environment_has_the_ranges_of_pyproject():
    lines, pip = conda()
    found = ranges(lines + [line for line in pip if not line.startswith("-e")])
    python, _ = found.pop("python"), found.pop("pip")
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    # A learner's environment: the course, and the `aws` command.
    assert found == ranges(project["dependencies"] + extras["course"] + extras["aws"])
    assert python == SpecifierSet(project["requires-python"])


def test_the_version_has_one_source():
    assert "version" not in PROJECT["project"] and PROJECT["tool"]["hatch"]["version"]["path"] == "gtlab/__init__.py"
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == gtlab.__version__
    assert f"## {Version(gtlab.__version__).base_version} " in (ROOT / "CHANGELOG.md").read_text()


def test_environment_installs_this_checkout_last():
    lines, pip = conda()
    assert "pip" in lines and pip[-1] == "-e ."


def test_lock_names_no_place():
    assert "/" not in LOCK  # no URL, no path
    assert not re.search(r"^\s*--(index|extra-index|find-links|trusted)|^-e|\s@\s", LOCK, re.MULTILINE)


def test_every_locked_package_has_hashes():
    entries = re.split(r"^(?=[A-Za-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) == sum(map(len, locked().values())) > 100
    assert all("--hash=sha256:" in entry for entry in entries)


@pytest.mark.parametrize("group", ["dependencies", "build", *PROJECT["project"]["optional-dependencies"]])
def test_lock_is_inside_the_ranges(group):
    extras = PROJECT["project"]["optional-dependencies"]
    groups = {
        "dependencies": PROJECT["project"]["dependencies"],
        "build": PROJECT["build-system"]["requires"],  # nothing is downloaded outside the lock
        **extras,
    }
    versions = locked()
    assert len(ranges(groups[group])) == len(groups[group]) > 0
    for name, allowed in ranges(groups[group]).items():
        assert name in versions, f"{name} is not locked: make lock"
        assert all(version in allowed for version in versions[name]), f"{name}: make lock"


def test_every_dependency_has_a_floor_and_a_ceiling():
    for name, allowed in ranges(PROJECT["project"]["dependencies"]).items():
        assert sorted(each.operator for each in allowed) == ["<", ">="], name


# --- continuous integration ---

def jobs() -> dict[str, list[str]]:
    """The commands of each job of CI."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    return {name: [line.strip() for step in job["steps"] for line in step.get("run", "").splitlines()]
            for name, job in workflow["jobs"].items()}


def test_ci_runs_targets_that_exist():
    makefile = (ROOT / "Makefile").read_text()
    asked = re.findall(r"\bmake ([a-z]+)", "\n".join(chain(*jobs().values(), [(ROOT / ".ci/run").read_text()])))
    assert {"setup", "quick", "lint", "test", "tour"} <= set(asked)
    assert [name for name in asked if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


def test_ci_runs_each_python_that_the_package_names():
    named = [line.rpartition(" ")[2] for line in PROJECT["project"]["classifiers"] if re.search(r":: 3\.\d+$", line)]
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    run = [each["python"] for each in workflow["jobs"]["quick"]["strategy"]["matrix"]["include"]
           if each["os"].startswith("ubuntu")]
    assert run == named and len(named) > 1
    assert PROJECT["project"]["requires-python"] == f">={named[0]}"


def test_ci_runs_the_commands_for_windows_of_the_readme_and_the_quick_tests():
    (block,) = re.findall(r"```powershell\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    readme = [line.replace("py -m venv", "python -m venv") for line in block.splitlines()]  # CI chooses its Python
    assert readme[-1] == r".venv\Scripts\gtlab lab"  # which would wait for a browser
    windows = jobs()["windows"]
    assert windows[:len(readme) - 1] == readme[:-1]
    quick = re.search(r"-m '(not slow [^']*)'", (ROOT / "Makefile").read_text())[1]
    assert rf'.venv\Scripts\python -m pytest -m "{quick}"' in windows


def test_the_hooks_before_a_commit_call_what_the_environment_has():
    hooks = [hook for repo in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
             for hook in repo["hooks"]]
    called = [hook["entry"].split()[:3] for hook in hooks]
    assert [(python, m) for python, m, _ in called] == [(".venv/bin/python", "-m")] * len(hooks)
    assert {name for _, _, name in called} == {"ruff", "nbconvert", "mypy"} <= set(locked())


# --- the wheel ---


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True,
                   capture_output=True, timeout=120)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_carries_the_course_and_its_types(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        shipped = {name: archive.read(name) for name in names if name.startswith("gtlab/notebooks/")}
        metadata = email.message_from_bytes(archive.read(f"gtlab-{gtlab.__version__}.dist-info/METADATA"))
    course = [*(ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"), *(ROOT / "notebooks").glob("solutions/*.py"),
              *(ROOT / "notebooks").glob("*.md")]
    assert shipped == {f"gtlab/{path.relative_to(ROOT).as_posix()}": path.read_bytes() for path in course} != {}
    tracked = subprocess.run(["git", "ls-files", "gtlab"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    if tracked.returncode == 0:  # not in an unpacked source distribution
        assert names >= {name for name in tracked.stdout.split() if (ROOT / name).exists()}
    assert "gtlab/py.typed" in names
    assert {name.split("/")[0] for name in names} == {"gtlab", f"gtlab-{gtlab.__version__}.dist-info"}
    assert metadata["Version"] == gtlab.__version__
    assert set(metadata.get_all("Provides-Extra")) == set(PROJECT["project"]["optional-dependencies"])


def test_an_editable_install_has_no_copy_of_the_course(tmp_path):
    code = "import sys; from hatchling.build import build_editable; print(build_editable(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True, capture_output=True, timeout=120)
    (path,) = tmp_path.glob("*.whl")
    assert not [name for name in zipfile.ZipFile(path).namelist() if name.endswith(".ipynb")]


def needed(requirements: list[str]) -> set[str]:
    """The installed distributions that these need, and what those need in turn."""
    found: set[str] = set()
    waiting = [(Requirement(line), "") for line in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        if (requirement.marker and not requirement.marker.evaluate({"extra": extra})) or name in found:
            continue
        found.add(name)
        waiting += [(Requirement(line), each) for line in importlib.metadata.requires(name) or ()
                    for each in ["", *requirement.extras]]
    return found


class Installed:
    """A virtual environment that holds the wheel and, as links, the installed packages that it needs."""

    def __init__(self, folder: Path, wheel: Path, requirements: list[str]):
        venv.create(folder / "venv", with_pip=False, symlinks=True)
        (site,) = (folder / "venv").glob("lib/python*/site-packages")
        zipfile.ZipFile(wheel).extractall(site)
        for name in needed(requirements):
            distribution = importlib.metadata.distribution(name)
            for top in {file.parts[0] for file in distribution.files or () if file.parts[0] != ".."}:
                if not (site / top).exists() and top != "__pycache__":
                    (site / top).symlink_to(distribution.locate_file(top))
        self.here, self.python = folder / "empty", folder / "venv" / "bin" / "python"
        self.here.mkdir()
        self.home = folder / "home"
        self.site = site

    def gtlab(self, *arguments: str, seconds: float = 120, **env: str) -> subprocess.CompletedProcess:
        """Run the command in an empty folder; without the paths of the Python that runs the tests."""
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {
            "GTLAB_HOME": str(self.home)} | env
        return subprocess.run([self.python, "-m", "gtlab", *arguments], cwd=self.here, capture_output=True, text=True,
                              timeout=seconds, env=env)


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory):
    """The wheel installed without an extra."""
    installed = Installed(tmp_path_factory.mktemp("bare"), wheel, PROJECT["project"]["dependencies"])
    yield installed
    installed.gtlab("down")


@pytest.mark.server
@unix
def test_without_the_extra_the_local_cloud_works(bare):
    for arguments, shown in ((["up", "--network", "instant"], "is up"), (["status"], "Running at"),
                             (["env"], "AWS_ENDPOINT_URL"), (["world"], "Nothing is broken"),
                             (["world", "isolate", "eu-west-1"], "isolate"), (["world", "reset"], "Nothing is broken"),
                             (["events"], "isolate"), (["reset", "--yes"], "is empty"), (["down"], "is stopped")):
        done = bare.gtlab(*arguments)
        assert done.returncode == 0 and shown in done.stdout, (arguments, done.stdout, done.stderr)


@pytest.mark.server
@unix
@pytest.mark.parametrize("arguments", [["lab"], ["tour", "00"],
                                       ["measure", "--source", "eu-west-1", "--targets", "us-east-1"]])
def test_without_the_extra_the_course_names_it(bare, arguments):
    done = bare.gtlab(*arguments)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and not done.stdout
    assert 'pip install "gtlab[course]"' in done.stderr and "pandas" in done.stderr
    assert not list(bare.here.iterdir())


@pytest.fixture(scope="module")
def whole(wheel, tmp_path_factory):
    """The wheel installed with the extra ``course``."""
    project = PROJECT["project"]
    installed = Installed(tmp_path_factory.mktemp("whole"), wheel,
                          project["dependencies"] + project["optional-dependencies"]["course"])
    yield installed
    installed.gtlab("down")


@unix
@pytest.mark.slow
@pytest.mark.notebooks
def test_the_installed_course_runs_and_is_copied(whole, tmp_path):
    done = whole.gtlab("tour", "00", "--network", "instant", seconds=240)
    assert done.returncode == 0, done.stdout + done.stderr
    executed = nbformat.read(whole.here / "out" / "00_start_here.ipynb", as_version=4)
    assert any(cell.get("outputs") for cell in executed.cells)

    (tmp_path / "jupyter.py").write_text("import sys; print(sys.argv)")  # in place of JupyterLab
    done = whole.gtlab("lab", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0 and str(whole.here / "gtlab-course") in done.stdout.splitlines()[-1], done.stderr
    assert {path.name: path.read_bytes() for path in (whole.here / "gtlab-course").glob("*.ipynb")} == {
        path.name: path.read_bytes() for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")}
    assert not list((whole.site / "gtlab" / "notebooks").glob("**/.ipynb_checkpoints"))
