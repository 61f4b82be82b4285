"""The ``gtlab`` command as a learner types it: what it prints, how it ends, and never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from click.testing import CliRunner
from support import refusal

from gtlab.cli import course
from gtlab.cli.main import main
from gtlab.cli.shells import settings
from gtlab.localcloud import process

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[1]
TABLE = {"BillingMode": "PAY_PER_REQUEST", "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
         "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}]}
GTLAB = Path(sys.executable).with_name("gtlab")


def gtlab(*arguments: str, **env: str) -> subprocess.CompletedProcess:
    done = subprocess.run([GTLAB, *arguments], capture_output=True, text=True, timeout=300, env=os.environ | env)
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home without a cloud."""
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    yield tmp_path
    process.down()


def test_up_status_down(home):
    up = gtlab("up", "--network", "fast", "--seed", "7")
    url = process.find().url
    assert up.returncode == 0 and url in up.stdout and 'eval "$(gtlab env)"' in up.stdout
    again = gtlab("up")
    assert again.returncode == 0 and "was up already" in again.stdout
    shown = gtlab("status")
    assert shown.returncode == 0 and url in shown.stdout and "fast network, seed 7" in shown.stdout
    assert str(home) in shown.stdout and "no tables" in shown.stdout
    told = json.loads(gtlab("status", "--json").stdout)
    assert (told["running"], told["url"], told["network"], told["seed"], told["tables"]) == (True, url, "fast", 7, [])
    refused = gtlab("up", "--network", "realistic")
    assert refused.returncode == 1 and "with network fast, not realistic" in refused.stderr

    for name, region in (("Music", "us-east-1"), ("AlbumsAndMore", "eu-west-1"), ("Music", "ap-southeast-1")):
        boto3.client("dynamodb", region, endpoint_url=url, aws_access_key_id="gtlab",
                     aws_secret_access_key="gtlab").create_table(TableName=name, **TABLE)
    rows = [line.rpartition(" ")[0].rstrip() for line in gtlab("status").stdout.splitlines() if line.startswith("  ")]
    assert rows == ["  AlbumsAndMore  eu-west-1", "  Music          ap-southeast-1", "  Music          us-east-1"]

    down = gtlab("down")
    assert down.returncode == 0 and "stopped" in down.stdout
    assert gtlab("down").returncode == 0
    shown = gtlab("status")
    assert shown.returncode == 1 and "gtlab up" in shown.stdout
    told = gtlab("status", "--json")
    assert told.returncode == 1 and json.loads(told.stdout) == {"running": False}


def test_lab_names_a_command_that_stops_the_cloud_and_can_be_entered(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.executable", str(tmp_path / ".venv" / "bin" / "python"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert course._stop_command() == str(Path(".venv", "bin", "gtlab")) + " down"
    (tmp_path / "gtlab").touch(0o755)
    assert course._stop_command() == "gtlab down"


def test_up_and_status_tell_what_is_kept_what_is_broken_and_what_was_set_aside(home):
    assert "in memory only: nothing is kept" in gtlab("up", "--network", "instant", "--in-memory").stdout
    assert "in memory only" in gtlab("status").stdout and json.loads(gtlab("status", "--json").stdout)["in_memory"]
    refused = gtlab("up", "--on-disk")
    assert refused.returncode == 1 and "in memory only" in refused.stderr and refused.stderr.count("\n") == 1
    gtlab("down")

    (home / "cloud.sqlite3").write_text("not a database")
    up = gtlab("up")
    (aside,) = home.glob("cloud-damaged-*")
    assert up.returncode == 0 and str(aside) in up.stderr and "set aside" in up.stderr
    gtlab("world", "isolate", "eu-west-1")
    gtlab("world", "lag", "3", "us-east-1", "eu-west-1")
    gtlab("down")
    up = gtlab("up")
    assert "These faults are still set from before" in up.stdout and "gtlab world reset" in up.stdout
    assert "isolate: Ireland (eu-west-1) ✕ all others" in up.stdout and str(aside) not in up.stderr
    status = gtlab("status").stdout
    assert "kept in cloud.sqlite3" in status and "Broken: isolate: Ireland" in status
    assert "Broken: lag: N. Virginia (us-east-1) → Ireland (eu-west-1), 3 s" in status

    reset = gtlab("reset", "--yes")
    assert reset.returncode == 0 and "is empty" in reset.stdout and str(aside) in reset.stdout and aside.exists()
    assert "Broken" not in gtlab("status").stdout and "broken" not in gtlab("up").stdout


def test_a_state_that_cannot_be_deleted_is_named(tmp_path):
    (tmp_path / "cloud.sqlite3").mkdir()  # what cannot be unlinked, also by root
    assert f"The state cannot be deleted: {tmp_path / 'cloud.sqlite3'}: Is a directory" in refusal(
        tmp_path, "reset", "--yes")


def test_a_file_that_cannot_be_read_is_named_without_an_error_number(tmp_path):
    assert refusal(tmp_path, "up", "--policy", str(tmp_path / "none")) == (
        f"Error: {tmp_path / 'none'}: No such file or directory\n")


def test_a_reset_asks_first_and_says_what_it_leaves(home):
    asked = subprocess.run([GTLAB, "reset"], input="n\n", capture_output=True, text=True, timeout=300)
    assert asked.returncode == 1 and "every table" in asked.stdout and "Aborted" in asked.stderr
    gtlab("up", "--network", "instant")
    gtlab("down")
    gtlab("up", "--in-memory")
    done = gtlab("reset", "--yes")
    assert str(home / "cloud.sqlite3") in done.stdout and "unchanged" in done.stdout
    assert (home / "cloud.sqlite3").exists()
    gtlab("down")
    assert "starts with the default settings" in gtlab("reset", "--yes").stdout
    assert not (home / "cloud.sqlite3").exists()


def test_env_is_for_eval(cloud):
    script = ('AWS_PROFILE=mine AWS_SESSION_TOKEN=t AWS_ENDPOINT_URL_DYNAMODB=http://elsewhere; '
              'export AWS_PROFILE AWS_SESSION_TOKEN AWS_ENDPOINT_URL_DYNAMODB\n'
              'export NO_PROXY=intranet\n'
              f'eval "$({GTLAB} env)" || exit 1\nenv')
    done = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and not done.stderr
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if line.startswith("AWS_"))
    assert found["AWS_ENDPOINT_URL"] == cloud.url
    assert found["AWS_ACCESS_KEY_ID"] and found["AWS_SECRET_ACCESS_KEY"]
    assert found["AWS_DEFAULT_REGION"] == "ap-southeast-1" and found["AWS_PAGER"] == ""
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_DYNAMODB"} & set(found)
    assert "NO_PROXY=intranet,127.0.0.1" in done.stdout.splitlines()  # never through a proxy


def test_env_for_other_shells(cloud):
    fish = gtlab("env", "--shell", "fish").stdout.splitlines()
    assert f"set -gx AWS_ENDPOINT_URL '{cloud.url}'" in fish and "set -e AWS_PROFILE" in fish
    powershell = gtlab("env", "--shell", "powershell").stdout.splitlines()
    assert f"$Env:AWS_ENDPOINT_URL = '{cloud.url}'" in powershell
    assert "Remove-Item Env:AWS_PROFILE -ErrorAction SilentlyContinue" in powershell
    cmd = gtlab("env", "--shell", "cmd").stdout.splitlines()
    assert f'@set "AWS_ENDPOINT_URL={cloud.url}"' in cmd and '@set "AWS_PROFILE="' in cmd
    assert len(fish) == len(powershell) == len(cmd) == len(gtlab("env").stdout.splitlines())


NASTY = "it's 50 % of C:\\Program Files\\x; $HOME `id` \"q\""


@pytest.mark.parametrize(("shell", "line"), [
    ("fish", "set -gx X 'it\\'s 50 % of C:\\\\Program Files\\\\x; $HOME `id` \"q\"'"),
    ("powershell", "$Env:X = 'it''s 50 % of C:\\Program Files\\x; $HOME `id` \"q\"'"),
    ("cmd", "@set \"X=it's 50 %% of C:\\Program Files\\x; $HOME `id` \"q\"\""),
])
def test_values_are_quoted_as_the_shell_asks(shell, line):
    assert settings(shell, [], {"X": NASTY}) == [line]


def test_a_posix_shell_reads_values_back():
    (line,) = settings("posix", [], {"X": NASTY})
    done = subprocess.run(["sh", "-euc", f'{line}; printf %s "$X"'], capture_output=True, text=True, timeout=300)
    assert done.stdout == NASTY


def test_env_without_a_cloud_gives_a_shell_nothing_to_eval(home):
    done = gtlab("env")
    assert done.returncode == 1 and not done.stdout and "gtlab up" in done.stderr


def test_a_solution_is_printed_by_its_number(home):
    assert gtlab("solution", "06").stdout.startswith("def lost_writes(records, region):")


@pytest.mark.parametrize(("arguments", "code", "text"), [
    (["tour", "no_such_notebook"], 1, "No notebook is called 'no_such_notebook'"),
    (["tour", "04", "-p", "no_such_parameter", "1"], 1, "no_such_parameter"),
    (["tour", "04", "-p", "samples", "many"], 1, "samples"),
    (["tour", "03", "--predict", "03-stale=never"], 2, "Choose one of: all, home, some, error"),
    (["tour", "03", "--predict", "03-nothing=all"], 2, "There are: 03-stale, 03-strong"),
    (["solution", "06-nothing"], 1, "There are: 00-farthest-replica"),
    (["lab", "--notebook", "no_such_notebook"], 1, "No notebook is called"),
    (["lab", "04"], 1, "gtlab lab --notebook 04"),
    (["lab", str(ROOT / "notebooks")], 1, "own notebooks"),
    (["lab", __file__], 1, "is a file"),
    (["up", "--port", "0"], 2, "--port"),
    (["up", "--port", "x"], 2, "--port"),
    (["up", "--network", "slow"], 2, "realistic"),
    (["env", "--shell", "tcsh"], 2, "posix"),
    (["down", "--now"], 2, "--now"),
    (["world"], 1, "gtlab up"),
    (["world", "isolate", "eu-west-1"], 1, "gtlab up"),
    (["world", "reset"], 1, "gtlab up"),
    (["world", "explode"], 2, "No such command"),
    (["world", "partition", "eu-west-1"], 2, "REGION"),
    (["events", "--follow"], 1, "gtlab up"),
    (["events", "--after", "-1"], 2, "--after"),
    (["reset", "--now"], 2, "--now"),
    (["fly"], 2, "No such command 'fly'"),
])
def test_what_cannot_be_done_is_told_in_a_line(home, arguments, code, text):
    done = CliRunner().invoke(main, arguments)
    assert isinstance(done.exception, SystemExit), "and no traceback"
    assert done.exit_code == code and text in done.stderr
    assert process.find() is None  # and nothing was started for it


def test_a_state_folder_that_cannot_be_made_is_told_in_a_line(tmp_path):
    (tmp_path / "file").write_text("")
    for command in ("up", "down", "status", "env"):
        done = gtlab(command, GTLAB_HOME=str(tmp_path / "file" / "home"))
        assert done.returncode == 1 and done.stderr.count("\n") == 1 and "GTLAB_HOME" in done.stderr


def test_a_home_that_is_in_disorder_is_told_in_a_line(tmp_path):
    (tmp_path / "cloud.log").mkdir()
    done = gtlab("up", GTLAB_HOME=str(tmp_path))
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "cloud.log" in done.stderr


def test_help_and_version():
    commands = {"up", "down", "status", "env", "tour", "lab", "world", "events", "reset"}
    told = gtlab("--help").stdout
    assert commands <= set(told.split()) and "..." not in told.partition("Commands:")[2], "no sentence is cut off"
    assert gtlab("--version").stdout.startswith("gtlab, version ")


def test_importing_gtlab_is_light_and_starts_nothing(home):
    script = ("import sys, gtlab; print(*(name for name in ('boto3', 'botocore', 'pandas', 'plotly', 'ipywidgets', "
              "'papermill', 'ministack', 'uvicorn') if name in sys.modules))")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.split() == []
    assert list(home.iterdir()) == [] and process.find() is None


def test_the_tours_kernels_find_the_environments_commands(tmp_path):
    import nbformat  # takes seconds

    path = tmp_path / "find.ipynb"
    code = "import shutil\nassert shutil.which('gtlab') == " + repr(str(GTLAB)) + ", shutil.which('gtlab')"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)]), path)
    done = gtlab("tour", str(path), "--network", "instant", "--out", str(tmp_path / "out"), PATH="/usr/bin:/bin")
    assert done.returncode == 0, done.stderr


# --- gtlab lab ---

FAKE_JUPYTER = "import json, sys\nprint(json.dumps(sys.argv[1:]))"  # in place of JupyterLab: says how it was called


@pytest.fixture
def opened(home, tmp_path_factory):
    """``opened(folder, *arguments)``: `gtlab lab` in a folder; what it printed, and how it called JupyterLab."""
    fake = tmp_path_factory.mktemp("fake")
    (fake / "jupyter.py").write_text(FAKE_JUPYTER)

    def run(folder: Path, *arguments: str) -> tuple[str, list[str]]:
        folder.mkdir(exist_ok=True)
        done = subprocess.run([GTLAB, "lab", *arguments], capture_output=True, text=True, timeout=300, cwd=folder,
                              env=os.environ | {"PYTHONPATH": str(fake)})
        assert done.returncode == 0, done.stderr
        *printed, called = done.stdout.splitlines()
        return "\n".join(printed), json.loads(called)
    return run


def test_lab_opens_a_working_copy_on_the_first_notebook(opened, tmp_path):
    here = tmp_path / "a folder of mine"
    printed, called = opened(here)
    copy = here / "gtlab-course"
    assert str(copy) in printed and "never overwrites" in printed and process.find().url in printed
    assert called[:5] == ["lab", "--ServerApp.root_dir", str(copy), "--LabApp.default_url",
                          "/lab/tree/00_start_here.ipynb"]
    assert sorted(path.name for path in copy.glob("*.ipynb")) == sorted(
        path.name for path in (ROOT / "notebooks").glob("*.ipynb"))

    edited = copy / "04_time_it.ipynb"
    edited.write_text(edited.read_text().replace("import", "import math, ", 1))
    printed, called = opened(copy, "--notebook", "4", "--port", "9999")  # inside a working copy: that one
    assert called[2] == str(copy) and called[4] == "/lab/tree/04_time_it.ipynb"
    assert called[called.index("--port") + 1] == "9999"
    assert "Your working copy" not in printed and "import math" in edited.read_text()
    printed, _ = opened(here, "--fresh")
    (aside,) = copy.glob("set-aside-*/04_time_it.ipynb")
    assert f"Set aside: {aside.relative_to(here)}" in printed and "import math" in aside.read_text()
    assert "import math" not in edited.read_text()


def test_lab_says_what_a_newer_release_changed(monkeypatch, tmp_path):
    changes = course.Changes(added=["08_new.ipynb"], updated=["00_a.ipynb", "01_b.ipynb"], kept=["04_mine.ipynb"],
                             aside={"07_old.ipynb": tmp_path / "07_old.ipynb"},
                             renamed={"07_old.ipynb": "09_old.ipynb"})
    new, updated, kept, aside = course.told(changes, made=False)
    assert new.endswith(": 08_new") and updated.endswith(": 00_a, 01_b")
    assert "04_mine" in kept and "gtlab lab --fresh" in kept
    assert str(tmp_path / "07_old.ipynb") in aside and "09_old" in aside


# --- Windows, as far as it can be shown elsewhere ---


def test_on_windows_jupyter_is_a_child_whose_arguments_are_quoted(monkeypatch, tmp_path):
    called = []
    monkeypatch.setattr(course.sys, "platform", "win32")
    monkeypatch.setattr(course.subprocess, "call", lambda command: called.append(command) or 3)
    monkeypatch.setattr(course.os, "execv", lambda *_: pytest.fail("Windows' exec does not quote"))
    folder = tmp_path / "My Documents"
    with pytest.raises(SystemExit) as ended:
        course.become(course.jupyter(folder, "00_start_here.ipynb", no_browser=False, port=None))
    (command,) = called
    assert ended.value.code == 3 and "--no-browser" not in command  # Windows always has a browser
    line = subprocess.list2cmdline(command)  # what Popen gives to Windows
    assert f'--ServerApp.root_dir "{folder}"' in line and "/lab/tree/00_start_here.ipynb" in line


def test_on_windows_the_local_cloud_is_started_apart_from_the_console(monkeypatch, home):
    class Started(Exception):
        pass

    def popen(command, **options):
        raise Started(command, options)

    monkeypatch.setattr(process.subprocess, "CREATE_NEW_PROCESS_GROUP", 0x200, raising=False)
    monkeypatch.setattr(process.subprocess, "DETACHED_PROCESS", 0x8, raising=False)
    monkeypatch.setattr(process.subprocess, "Popen", popen)
    monkeypatch.setattr(process.sys, "platform", "win32")
    monkeypatch.setenv("GTLAB_HOME", str(home / "Local Settings"))
    with pytest.raises(Started) as started:
        process.up(network="fast")
    command, options = started.value.args
    assert options["creationflags"] == 0x208 and "start_new_session" not in options
    assert str(home / "Local Settings") in command and options["cwd"] == home / "Local Settings"
    assert isinstance(command, list)  # a list: Popen quotes what has spaces
