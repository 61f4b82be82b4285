"""A local cloud that many people share: each account has a cloud of its own, bound to a secret."""

from __future__ import annotations

import asyncio
import urllib.error

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from click.testing import CliRunner
from support import IRELAND, ON_DEMAND, SINGAPORE, VIRGINIA, asked, wait_active

import gtlab
from gtlab.classroom import happening
from gtlab.cli import main
from gtlab.contract import (
    ACCOUNT_HEADER,
    ACCOUNT_VARIABLE,
    ACCOUNTS_FILE,
    CLOUD_VARIABLE,
    CODE_VARIABLE,
    CONTROL_PREFIX,
)
from gtlab.course import stages
from gtlab.lab import elsewhere
from gtlab.localcloud import process
from gtlab.localcloud.disk.keeper import keep
from gtlab.localcloud.model import Refusal
from gtlab.localcloud.server.shared import MOST_ACCOUNTS, Accounts, Shared
from gtlab.measure.sampling import Sampling, prepare

SECRET = "a secret of enough characters"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """The owner's home, and the cloud that runs there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GTLAB_HOME", str(tmp_path_factory.mktemp("owner")))
        yield process.up(shared=True, network="instant")[0]
        process.down()


@pytest.fixture(scope="module")
def learners_home(tmp_path_factory):
    return tmp_path_factory.mktemp("learners")


@pytest.fixture
def learners(shared, learners_home, monkeypatch):
    """``learners(name)``: the lab of somebody else on the shared cloud."""
    def lab(name):
        monkeypatch.setenv("GTLAB_HOME", str(learners_home))
        return gtlab.connect(shared.url, account=name, token=shared.code, home=SINGAPORE, replicas=[VIRGINIA, IRELAND])

    return lab


@pytest.fixture
def owners(shared, monkeypatch):
    """``owners()``: from now on we are the owner."""
    return lambda: monkeypatch.setenv("GTLAB_HOME", str(shared.folder))


@pytest.mark.server
def test_each_account_has_its_own_tables_faults_and_journal(learners):
    ana, ben = learners("Ana"), learners("Ben")
    for lab in (ana, ben):
        lab.client(SINGAPORE).create_table(**ON_DEMAND)
        wait_active(lab.client(SINGAPORE))
    ana.client(SINGAPORE).put_item(TableName="Music", Item={"Artist": {"S": "a"}})
    with ana.world.outage(VIRGINIA, "refused"):
        with pytest.raises(ConnectionClosedError):
            ana.new_client(VIRGINIA, retries={"total_max_attempts": 1}).list_tables()
        assert ben.world.state().empty and ben.client(VIRGINIA).list_tables()["TableNames"] == []
    assert ben.client(SINGAPORE).scan(TableName="Music")["Count"] == 0
    assert list(ana.events().kind) == ["write", "broken", "mended"] and ben.events().empty
    with ben.legacy_face("2026"), ben.hurry(10):
        assert process.legacy_face(ben._where) == "2026" and process.legacy_face(ana._where) == "historic"
    assert f"account {elsewhere.number_of('ana')}" in str(ana), "a name means the same however it is written"


@pytest.mark.server
@pytest.mark.parametrize(("account", "token", "why"), [
    ("Ana", "wrong code", "requires its token"),
    ("Ana", "", "requires its token"),
    ("", "CODE", "each of its users names an account"),
    ("000000000000", "CODE", "each of its users names an account"),
    ("Ana", f"CODE.{SECRET}", "belongs to somebody else"),
    ("Eve", "CODE.short", "at least 16 characters"),
])
def test_nobody_gets_in_without_the_code_and_their_own_secret(shared, learners, owners, account, token, why):
    learners("Ana")
    with pytest.raises(ValueError, match=why):
        gtlab.connect(shared.url, account=account, token=token.replace("CODE", shared.code))
    owners()
    assert elsewhere.number_of("Eve") not in process.status(shared)["shared"]["accounts"]


@pytest.mark.server
def test_a_call_without_the_secret_is_refused_as_the_service_does(shared, learners):
    lab = learners("Ana")
    for token in (None, shared.code, f"{shared.code}.{SECRET}"):
        stranger = gtlab.connect({SINGAPORE: shared.url}, home=SINGAPORE).new_client(SINGAPORE)
        stranger._request_signer._credentials.access_key = elsewhere.number_of("Ana")
        stranger._request_signer._credentials.token = token
        with pytest.raises(ClientError, match="UnrecognizedClientException"):
            stranger.list_tables()
    lab.client(SINGAPORE).list_tables()


@pytest.mark.server
def test_the_owner_alone_can_stop_it_and_finds_the_accounts_again(shared, learners, owners):
    ana = learners("Ana")
    with pytest.raises(ValueError, match="only its owner can stop it"):
        ana._control("stop", "POST")
    ana.client(IRELAND).create_table(**ON_DEMAND | {"TableName": "Kept"})
    owners()
    told = CliRunner().invoke(main, ["status"]).output
    assert f"To join: the code {shared.code}" in told
    process.down()
    started = CliRunner().invoke(main, ["up", "--shared"])
    assert started.exit_code == 0 and f'account="NAME", token="{shared.code}"' in started.output
    assert "Keep your own token" in started.output
    assert elsewhere.number_of("Ana") in process.status(process.find())["shared"]["accounts"]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        process.request(process.Elsewhere(process.find().url), "status")
    assert learners("Ana").client(IRELAND).list_tables()["TableNames"] == ["Kept"]


@pytest.mark.server
def test_programs_that_are_told_no_cloud_take_the_one_in_the_environment(shared, learners, monkeypatch):
    monkeypatch.setenv(CLOUD_VARIABLE, f"{shared.url}/")
    monkeypatch.setenv(ACCOUNT_VARIABLE, "Dee")
    monkeypatch.setenv(CODE_VARIABLE, shared.code)
    lab = gtlab.connect()
    assert elsewhere.number_of("Dee") in str(lab) and lab.simulated and lab.network == "instant"
    with process.throwaway("instant"):
        assert elsewhere.number_of("Dee") not in str(gtlab.connect()), "a tour has a cloud of its own"


@pytest.mark.server
def test_learners_of_a_shared_cloud_poll_less_often(learners):
    hal = learners("Hal")
    stages.ensure_global_table(hal)
    for every_ms, every_s in ((None, 0.06), (6.0, 0.006)):
        assert prepare(hal, "Music", "", (), Sampling(every_ms=every_ms)).every_s == every_s


@pytest.mark.server
def test_an_event_of_the_class_breaks_only_the_account_in_the_environment(shared, learners, monkeypatch):
    for name, value in ((CLOUD_VARIABLE, shared.url), (ACCOUNT_VARIABLE, "Fay"), (CODE_VARIABLE, shared.code)):
        monkeypatch.setenv(name, value)
    fay, gus, told = learners("Fay"), learners("Gus"), []
    event = {"n": 1, "what": "lag", "place": "everywhere", "value": 7, "starts": 0.0, "ends": 600.0}
    here = happening.Happening(lambda: 10.0, lambda *what: told.append(what))
    assert here.heard(event)
    here.tick(takes_part=True)
    assert list(fay.world.state().knob) == ["lag"] and gus.world.state().empty
    here.end()
    assert fay.world.state().empty and told == [("event", "1", "applied"), ("event", "1", "mended")]


def test_what_is_no_url_or_no_cloud_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    with pytest.raises(ValueError, match="is not the URL of a local cloud"):
        gtlab.connect("http://127.0.0.1:8000/tables", account="Ana", token="code")
    with pytest.raises(process.CloudError, match=r"No local cloud answers at http://127\.0\.0\.1:1:"):
        gtlab.connect("http://127.0.0.1:1", account="Ana", token="code")


def test_there_is_a_most_of_accounts_and_a_damaged_list_of_them_lets_nobody_in(tmp_path):
    file = tmp_path / ACCOUNTS_FILE
    accounts = Accounts(file)
    for number in range(MOST_ACCOUNTS):
        accounts.admit(f"{number:012d}", SECRET)
    with pytest.raises(Refusal, match=f"has {MOST_ACCOUNTS} accounts"):
        accounts.admit(f"{MOST_ACCOUNTS:012d}", SECRET)
    again = Accounts(file)
    again.admit(f"{7:012d}", SECRET)
    with pytest.raises(Refusal, match="belongs to somebody else"):
        again.admit(f"{7:012d}", SECRET + "?")
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(OSError, match="it is damaged"):
        Accounts(file)


def test_an_account_whose_cloud_could_not_be_opened_is_opened_by_the_next_request():
    why = [MemoryError("an error that nobody foresaw")]

    async def open_cloud(account):
        if why:
            raise why.pop()
        return keep(None, "instant")

    app = Shared(None, "CODE", Accounts(None), open_cloud)
    headers = {"authorization": f"Bearer CODE.{SECRET}", ACCOUNT_HEADER: "000000000007"}

    async def twice() -> int:
        with pytest.raises(MemoryError):
            await asked(app, "GET", f"{CONTROL_PREFIX}/status", headers)
        return (await asked(app, "GET", f"{CONTROL_PREFIX}/status", headers))[0]

    assert asyncio.run(twice()) == 200
