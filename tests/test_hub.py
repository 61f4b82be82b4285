"""The recipe for a class on one server (docs/hub): its configuration, with JupyterHub's simple spawner, and its other
files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.error import HTTPError

import boto3
import hubs
import pytest
import yaml
from botocore.config import Config
from botocore.exceptions import ClientError
from classes import gtlab
from filelock import FileLock
from support import ON_DEMAND, SOAK, wait_until

from gtlab import classroom
from gtlab.classroom import wire
from gtlab.classroom.register import Register
from gtlab.course import tour
from gtlab.localcloud import process

SCHEMA = Path(__file__).parent / "data" / "zero-to-jupyterhub.schema.json"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    if why := hubs.missing():
        pytest.skip(why)
    with hubs.running_hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


def cloud(hub, user: str) -> dict:
    return json.loads((hub.state(user) / "cloud.json").read_text())


def client(found: dict, token: str | None):
    return boto3.client("dynamodb", region_name="eu-west-1", endpoint_url=f"http://127.0.0.1:{found['port']}",
                        aws_access_key_id="gtlab", aws_secret_access_key="gtlab", aws_session_token=token,
                        config=Config(retries={"total_max_attempts": 1}))


def ended(pid: int) -> bool:
    """Whether a process has ended. One that nobody has waited for has ended too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.server
@pytest.mark.soak
@pytest.mark.long(20)
def test_two_learners_have_a_server_each_and_the_board_knows_both(hub):
    stranger, ana, teacher = hubs.Visitor(hub), hubs.Visitor(hub), hubs.Visitor(hub)
    assert stranger.log_in("mallory", hubs.PASSWORD) == 403 and stranger.log_in("ana", "guessed-by-them") == 403
    assert stranger.log_in("teacher", hubs.PASSWORD) == 403
    assert ana.log_in("ana", hubs.PASSWORD) < 400 and teacher.log_in("teacher", hubs.ADMIN_PASSWORD) < 400

    pids = hub.start("ana", "bo")
    for user in pids:
        listed = {each["name"] for each in hub.ask("GET", f"user/{user}/api/contents")["content"]}
        assert listed >= {path.name for path in tour.find_notebooks()}
        assert (hub.home / "users" / user / "gtlab-course").is_dir()

    # A local cloud each, which other users of the machine cannot use.
    anas, bos = cloud(hub, "ana"), cloud(hub, "bo")
    client(anas, anas["token"]).create_table(**ON_DEMAND)
    assert client(anas, anas["token"]).list_tables()["TableNames"] == ["Music"]
    assert client(bos, bos["token"]).list_tables()["TableNames"] == []
    for token in (None, bos["token"]):
        with pytest.raises(ClientError, match="security token"):
            client(anas, token).list_tables()

    # The board: a user of the hub joins without a code, and only an admin instructs.
    refused = hub.run(pids["ana"], "class", "join", "hub")  # nobody confirms
    assert refused.returncode == 1 and wire.NOTICE in refused.stdout
    for user in pids:
        joined = hub.run(pids[user], "class", "join", "hub", "--yes")
        assert f"as {user}." in joined.stdout, joined.stderr
    board = "services/class/"
    assert stranger.visit(f"{board}instructor")[1].startswith(f"{hub.url}/hub/login")
    assert ana.visit(f"{board}instructor")[1] == f"{hub.url}/{board}"
    assert teacher.visit(f"{board}instructor")[1].startswith(f"{hub.url}/{board}board#")
    assert stranger.visit(f"{board}oauth_callback?code=a&state=b")[0] == 403
    for code in ("", Register(hub.home / "class" / "board.sqlite3").get("code")):  # a hub's board has no code
        with pytest.raises(HTTPError, match="401"):
            hub.ask("POST", f"{board}api/join", {"code": code, "name": "ana"})
    register = Register(hub.home / "class" / "board.sqlite3")
    assert sorted(each.name for each in register.learners.values()) == ["ana", "bo"]
    register.close()

    # What belongs to a server ends with it, also when it is killed. (In `make soak`: it comes back as it was.)
    agents = hub.state("ana") / "class-agent.lock"
    hub.stop("ana")
    os.kill(pids["bo"], 9)
    for user, found in (("ana", anas), ("bo", bos)):
        wait_until(lambda found=found: ended(found["pid"]), f"the end of {user}'s local cloud", 120)
    with FileLock(agents, timeout=120):
        pass
    if not SOAK:
        return
    again = hub.start("ana")["ana"]
    now = cloud(hub, "ana")
    assert now["pid"] != anas["pid"] and client(now, now["token"]).list_tables()["TableNames"] == ["Music"]
    assert "as ana." in hub.run(again, "class", "join", "hub", "--yes").stdout


@pytest.mark.server
def test_the_temporary_clouds_of_exercises_work_on_a_hub(monkeypatch):
    monkeypatch.setenv("GTLAB_GUARD", "1")
    with process.private() as running:
        assert process.control(running.port, "status")["instance"] == running.instance


@pytest.mark.server
def test_commands_of_a_hub_say_so_elsewhere(tmp_path, monkeypatch):
    monkeypatch.delenv("JUPYTERHUB_API_TOKEN", raising=False)
    for arguments, says in ((("lab", "--hub"), "JupyterHub"), (("class", "hub"), "JupyterHub"),
                            (("class", "join", "hub", "--yes"), "belongs to no JupyterHub"),
                            (("class", "join", "http://127.0.0.1:9"), "Give the code")):
        done = gtlab(tmp_path, *arguments)
        assert done.returncode in (1, 2) and says in done.stderr, done.stderr


def test_a_notebook_on_a_hub_says_that_there_is_a_class(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    monkeypatch.setenv("GTLAB_CLASS", "http://127.0.0.1:9/services/class")
    classroom.join("", "", "")  # as the cell of notebook 00 is at first
    said = capsys.readouterr().out
    assert wire.NOTICE in said and 'classroom.join("hub")' in said
    monkeypatch.delenv("GTLAB_CLASS")
    classroom.join("", "", "")
    assert capsys.readouterr().out.startswith("No class")


def test_a_user_of_the_hub_who_joins_again_is_the_same_learner(tmp_path):
    register = Register(tmp_path / "board.sqlite3")
    ana, first = register.join_as("ana")
    again, second = register.join_as("ana")
    assert again is ana and register.learner_of(second) is ana and register.learner_of(first) is None
    register.close()
    register = Register(tmp_path / "board.sqlite3")
    assert register.learner_of(second).name == "ana" and register.learner_of(first) is None
    register.remove(register.learner_of(second).id)
    assert register.was_removed(second) and register.join_as("ana")[0].id != ana.id
    register.close()


# --- what is not run here ---

def test_the_values_are_settings_that_the_chart_has():
    import jsonschema  # takes long to import, and each worker imports this file

    values = yaml.safe_load((hubs.RECIPE / "values.yaml").read_text())
    schema = json.loads(SCHEMA.read_text())
    jsonschema.validate(values, schema)
    for wrong in ({"singleuser": {"comand": []}}, {"cull": {"enabled": True, "timeout": "2h"}}, {"hubs": {}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(values | wrong, schema)


def test_the_values_say_what_the_configuration_says():
    """The board, its access and the learners' command are the same on one machine and on Kubernetes."""
    pytest.importorskip("traitlets")
    config = load("jupyterhub_config.py")
    values = yaml.safe_load((hubs.RECIPE / "values.yaml").read_text())
    board, = config.JupyterHub.services
    role, = config.JupyterHub.load_roles
    chart = values["hub"]["services"]["class"]
    assert chart["command"] == [Path(board["command"][0]).name, *board["command"][1:]]
    assert chart["oauth_no_confirm"] is board["oauth_no_confirm"] is True
    assert values["hub"]["loadRoles"] == {role["name"]: {"scopes": role["scopes"]}}
    assert values["hub"]["config"]["KubeSpawner"]["server_token_scopes"] == config.Spawner.server_token_scopes
    assert values["singleuser"]["cmd"][1:] == config.Spawner.cmd[1:] == load("containers.py").Spawner.cmd[1:]
    assert values["singleuser"]["memory"]["limit"] == config.Spawner.mem_limit


def load(name: str):
    from traitlets.config.loader import PyFileConfigLoader

    return PyFileConfigLoader(name, path=str(hubs.RECIPE)).load_config()
