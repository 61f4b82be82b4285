"""pyproject.toml, environment.yml and requirements.lock say the same."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "requirements.lock").read_text()
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
    for name, allowed in ranges(groups[group]).items():
        assert name in versions, f"{name} is not locked: make lock"
        assert all(version in allowed for version in versions[name]), f"{name}: make lock"


def test_every_dependency_has_a_floor_and_a_ceiling():
    for name, allowed in ranges(PROJECT["project"]["dependencies"]).items():
        exact = name == "ministack"  # gtlab.localcloud.engine.borrowed relies on its private names
        assert sorted(each.operator for each in allowed) == (["=="] if exact else ["<", ">="]), name
