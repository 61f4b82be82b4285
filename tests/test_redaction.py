"""Credentials and account ids are planted, and searched for in executed notebooks, pages and logs."""

from __future__ import annotations

import html
import json
import logging
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from support import SINGAPORE, VIRGINIA

from gtlab import redaction, tour
from gtlab.course import pages, progress
from gtlab.course.tour import Kernels
from gtlab.lab.clients import Access, Clients
from gtlab.localcloud import process
from gtlab.localcloud.server.log_file import LogFile

KEY, SECRET = "AKIAPLANTEDPLANTED23", "plantedSecret/plantedSecret+plantedSecret"
TOKEN, ACCOUNT = "IQoJplantedToken//" + "tok+en=" * 20, "487126950348"
PLANTED = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN}
ARN = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/Music"


@pytest.fixture
def planted(monkeypatch):
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)


def found(text: str, *, account: bool = True) -> list[str]:
    """Which of the planted strings a text holds, also as HTML and JSON write them."""
    wanted = [*PLANTED.values(), *([ACCOUNT] if account else [])]
    return [each for each in wanted if each in text or html.escape(each) in text or json.dumps(each)[1:-1] in text]


@pytest.mark.parametrize("text", [
    f"key {KEY}, secret {SECRET}; token: {TOKEN}.", json.dumps({"a": [SECRET, {"b": TOKEN}]}), ARN,
    f"{ARN} and later {ACCOUNT} alone", f'{{"UserId": "AIDAPLANTEDPLANTED234", "Account": "{ACCOUNT}"}}',
    f"{{'Account': '{ACCOUNT}'}}", json.dumps(json.dumps({"Account": ACCOUNT})), f"account_id = {ACCOUNT}",
    f"User: arn:aws:sts::{ACCOUNT}:assumed-role/x/y is not authorized", f"X-Amz-Security-Token={'Z' * 40}&X-Amz-Date=1",
    "arn:aws-us-gov:iam::487126950348:user/x",
    f"arn:<wbr>aws:<wbr>dynamodb:<wbr><span style='white-space:nowrap'>us-east-1</span>:<wbr>{ACCOUNT}:<wbr>table/x",
    f"arn:<wbr>aws:<wbr>iam:<wbr>:<wbr><b>{ACCOUNT}</b>:<wbr>user/x",
])
def test_what_is_hidden(planted, text):
    hidden = redaction.hide(text)
    assert found(hidden) == [] and "AIDAPLANTED" not in hidden and "ZZZZ" not in hidden
    assert hidden != text and redaction.hide(hidden) == hidden


def test_the_account_of_a_lab_is_hidden_wherever_it_stands(monkeypatch):
    monkeypatch.setattr(redaction, "_accounts", set())
    assert redaction.hide(f"the total is {ACCOUNT}") == f"the total is {ACCOUNT}"
    redaction.remember_account(ACCOUNT)
    assert redaction.hide(f"the total is {ACCOUNT}") == "the total is ACCOUNT"


@pytest.mark.parametrize("text", [
    "arn:aws:dynamodb:us-east-1:000000000000:table/Music", "AIDAGTLABLOCALCLOUD00", "sequence 812604739155 of 10",
    "AKIA is how a key begins", "gtlab", "an account of 12 digits", "1487126950348000", "account 000000000000",
    '{"Account": "000000000000"}', "",
])
def test_what_stays(planted, monkeypatch, text):
    monkeypatch.setenv("GTLAB_TOKEN", "gtlab")  # too short to be a secret
    assert redaction.hide(text) == text


def test_account_ids_stay_if_they_are_asked_for(planted, monkeypatch):
    monkeypatch.setenv("GTLAB_SHOW_ACCOUNT", "1")
    assert redaction.hide(f"{ARN} {SECRET} {KEY}") == f"{ARN} (hidden) (hidden)"


def test_the_credentials_that_boto3_uses_are_remembered(monkeypatch, tmp_path):
    """Also those of a profile, which are not in the environment."""
    path = tmp_path / "credentials"
    path.write_text(f"[planted]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET[::-1]}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    monkeypatch.setattr(redaction, "_known", set())
    client = Clients(Access("aws", profile="planted"), SINGAPORE, noted=False).new(VIRGINIA, "dynamodb")

    class Stop(Exception):
        pass

    def stop(**_):
        raise Stop

    client.meta.events.register_last("before-send.*.*", stop)  # the request is not sent
    with pytest.raises(Stop):
        client.list_tables()
    assert redaction.hide(f"the secret is {SECRET[::-1]}") == "the secret is (hidden)"


SHOWN = [
    "import gtlab\nlab = gtlab.connect()",
    f"account = {ACCOUNT[:6]!r} + {ACCOUNT[6:]!r}\narn = f'arn:aws:dynamodb:us-east-1:{{account}}:table/Music'\n"
    "import os, boto3\nused = boto3.Session().get_credentials()\n"
    "print(arn, dict(os.environ), used.secret_key, used.token)",
    "import sys\nprint({'Account': account}, used.access_key, file=sys.stderr)",
    "import pandas as pd\npd.DataFrame({'arn': [arn], 'secret': [used.secret_key]})",
    "from IPython.display import HTML, JSON, display\ndisplay(HTML(f'<b>{arn} {used.token}</b>'))\n"
    "display({'text/plain': arn, 'application/json': {'token': used.token}}, raw=True)\n"
    "shown = display('x', display_id=True)\nshown.update(arn)",
    "import ipywidgets\noutput = ipywidgets.Output()\nwith output:\n    print(arn, used.secret_key)\noutput",
    "{'Table': {'TableArn': arn, 'Secret': used.secret_key}}",
]
RAISES = "raise ValueError(f'{arn}: {used.secret_key} {used.token}')"


@pytest.fixture
def notebook(tmp_path, tmp_path_factory, monkeypatch, planted):
    """Writes a notebook; its kernel finds the planted credentials, and a local cloud."""
    from nbformat.v4 import new_code_cell, new_notebook

    home = tmp_path_factory.mktemp("jupyter")
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(home / name.lower()))

    def write(*cells: str) -> Path:
        import nbformat

        kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
        path = tmp_path / "planted.ipynb"
        nbformat.write(new_notebook(cells=[new_code_cell(each) for each in cells], metadata={"kernelspec": kernel}),
                       path)
        return path

    with process.throwaway("instant"):
        yield write


@pytest.mark.notebooks
@pytest.mark.timeout(600)
def test_the_copies_and_pages_of_a_tour_hold_nothing(notebook, tmp_path):
    path = notebook(*SHOWN[1:], RAISES)  # without connect(): the tour itself has to hide
    (result,) = tour.run([path], {}, tmp_path / "out", kernels=Kernels(env={}), progress=False)
    copy = (tmp_path / "out" / path.name).read_text(encoding="utf-8")
    assert not result.ok and "ValueError" in result.error and found(result.error) == []
    assert copy.count("(hidden)") >= 8 and copy.count(":ACCOUNT:") >= 6
    assert found(copy.replace(ACCOUNT[:6], "")) == []  # the cell that plants the account has its halves
    pages.prepare(tmp_path / "pages")
    pages.write([result], tmp_path / "out", tmp_path / "pages")
    for page in (tmp_path / "pages").glob("*.html"):
        assert found(page.read_text(encoding="utf-8")) == [], page.name


@pytest.mark.notebooks
@pytest.mark.timeout(600)
def test_a_notebook_that_is_run_by_hand_holds_nothing(notebook):
    """From connect() on, whatever runs it. (JupyterLab saves what the kernel sends, as nbclient does.)"""
    import nbformat
    from nbclient import NotebookClient

    cells = [*SHOWN, "import os\nos.environ['GTLAB_SHOW_ACCOUNT'] = '1'\nprint(arn, used.secret_key)", RAISES]
    read = nbformat.read(notebook(*cells), as_version=4)
    NotebookClient(read, timeout=300, kernel_name="python3", allow_errors=True).execute()
    *before, asked, raised = read.cells
    outputs = [json.dumps(cell.outputs) for cell in before]
    assert [found(text) for text in outputs] == [[] for _ in before]
    assert all("ACCOUNT" in text for text in outputs[1:5]) and "(hidden)" in outputs[1]
    shown = json.dumps(asked.outputs)
    assert ACCOUNT in shown and found(shown, account=False) == []  # asked for
    assert raised.outputs[0].output_type == "error" and found(json.dumps(raised.outputs), account=False) == []
    kept = json.dumps(read.metadata)  # of widgets
    assert found(kept) == [] and ":ACCOUNT:" in kept


def test_the_log_hides(planted, capsys, tmp_path):
    log = logging.getLogger("planted")
    handler = LogFile(tmp_path / "cloud.log")
    log.addHandler(handler)
    try:
        try:
            raise ValueError(f"{ARN} {SECRET}")
        except ValueError:
            log.exception("a request with %s failed", TOKEN)
    finally:
        log.removeHandler(handler)
    written = capsys.readouterr().err
    assert "Traceback" in written and "arn:aws:dynamodb:us-east-1:ACCOUNT:table/Music" in written
    assert found(written) == []


def test_the_records_of_progress_hold_nothing(planted, monkeypatch, tmp_path):
    """A class's board receives them."""
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    progress.record("predicted", "03-stale", {"why": [f"I saw {ARN}", {"token": TOKEN}], SECRET: 1})
    (kept,) = (path.read_text(encoding="utf-8") for path in tmp_path.glob("*.json"))
    assert found(kept) == [] and "I saw arn:aws:dynamodb:us-east-1:ACCOUNT:table/Music" in kept


@pytest.mark.server
def test_a_local_cloud_writes_no_credentials_anywhere(planted):
    """Clients with real credentials, whose requests succeed, are refused, and are no requests."""
    with process.throwaway("instant") as cloud:
        def client(**more):
            return boto3.client("dynamodb", region_name=VIRGINIA, endpoint_url=cloud.url, aws_access_key_id=KEY,
                                aws_secret_access_key=SECRET, aws_session_token=TOKEN,
                                config=Config(retries={"total_max_attempts": 1}, **more))
        client().create_table(TableName="Music", BillingMode="PAY_PER_REQUEST",
                              AttributeDefinitions=[{"AttributeName": "Artist", "AttributeType": "S"}],
                              KeySchema=[{"AttributeName": "Artist", "KeyType": "HASH"}])
        for asked in ({"TableName": "x"}, {"TableName": "absent"}, {"TableName": TOKEN[:9]}):
            with pytest.raises(ClientError):
                client(parameter_validation=False).describe_table(**asked)
        kept = {path.name: path.read_bytes() for path in cloud.folder.rglob("*") if path.is_file()}
    assert {"cloud.log", "cloud.json"} <= kept.keys()
    for name, content in kept.items():
        assert found(content.decode("latin-1")) == [], name
