"""The backend aws: only by name, nothing before the checks and the question, nothing foreign touched.

A local cloud takes AWS's place, with AWS's own refusals in front of it (aws_front.py).
"""

from __future__ import annotations

import builtins
import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from aws_front import Front, Rule, front
from click.testing import CliRunner
from support import IRELAND, ON_DEMAND, SINGAPORE, VIRGINIA, new_account, wait_until

import gtlab
from gtlab import measure
from gtlab.cli import aws as cli_aws
from gtlab.cli.main import main
from gtlab.contract import CONSENT_VARIABLE, MADE_FILE, REFUSED, REHEARSAL_VARIABLE, RUN_TAG
from gtlab.course import stages
from gtlab.course.rehearsal import ACCOUNT
from gtlab.course.tour import find_notebooks
from gtlab.lab import Lab, ownership
from gtlab.lab.aws import footprint, guard, preflight
from gtlab.lab.aws.errors import NotReady
from gtlab.lab.choice import checked_choice
from gtlab.localcloud import process
from gtlab.localcloud.world import CONTROL_PLANE_S

pytestmark = pytest.mark.server
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
TRIO = (SINGAPORE, VIRGINIA, IRELAND)
DENIED = f"User: arn:aws:iam::{ACCOUNT}:user/gtlab is not authorized to perform: dynamodb:{{}} on resource: x"


@pytest.fixture(scope="module")
def place() -> Iterator[process.Running]:
    with process.private("instant") as running:
        process.legacy_face(running.port, REFUSED)
        yield running


@pytest.fixture(scope="module")
def before_it(place) -> Iterator[Front]:
    with front(place.url) as made:
        yield made


@pytest.fixture
def account(monkeypatch, tmp_path) -> str:
    """An account and a state folder of the test's own."""
    made = new_account()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", made)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setattr(preflight, "_agreed", set())
    return made


@pytest.fixture
def aws(before_it, account, monkeypatch) -> Front:
    """What stands in AWS's place."""
    monkeypatch.setenv(REHEARSAL_VARIABLE, before_it.url)
    before_it.rules, before_it.passed = [], []
    return before_it


@pytest.fixture
def there(place, account):
    """``there()``: the tables of the account, as pairs of name and Region."""
    return lambda: {(table["name"], table["region"]) for table in process.status(place)["tables"]
                    if table["account"] == account}


@pytest.fixture
def stranger(place, account):
    """``stranger(region)``: a client that is not gtlab's, of the same account."""
    return lambda region: boto3.client("dynamodb", region_name=region, endpoint_url=place.url,
                                       aws_access_key_id=account, aws_secret_access_key="x")


def open_lab(**options) -> Lab:
    return gtlab.connect("aws", home=SINGAPORE, replicas=[VIRGINIA, IRELAND], **{"yes": True} | options)


def answers(monkeypatch, said: str) -> list[str]:
    """Answer the next questions; gives the list of questions."""
    asked: list[str] = []
    monkeypatch.setattr(builtins, "input", lambda question: asked.append(question) or said)
    return asked


# --- only by name, only after the screen and the question ---

def test_the_screen_says_whose_account_it_is_and_what_will_be_made_and_shows_no_account(aws, account, capsys):
    lab = open_lab()
    shown = capsys.readouterr().out
    assert f"account   ends in {account[-4:]}" in shown
    assert "identity  user/gtlab" in shown and "profile   default" in shown
    assert all(region in shown for region in TRIO) and all(table in shown for table in footprint.TABLES)
    assert "at most" in shown and "dollars" in shown and "gtlab clean --backend aws" in shown
    assert account not in shown + repr(lab) and not re.search("[0-9]{12}", shown)
    assert aws.changes() == []
    assert not lab.simulated and lab.label.startswith("simulated") and lab.rehearsal and not lab.legacy_api


@pytest.mark.parametrize(("said", "agreed"), [("Yes ", True), ("n", False), ("", False)])
def test_the_question_is_asked_once_for_an_account_and_its_regions(aws, monkeypatch, said, agreed):
    asked = answers(monkeypatch, said)
    if not agreed:
        with pytest.raises(preflight.Refused, match="You did not agree, so nothing was made"):
            open_lab(yes=False)
        assert aws.changes() == []
        return
    open_lab(yes=False)
    open_lab(yes=False)
    assert asked == [preflight.QUESTION]
    gtlab.connect("aws", home="eu-west-3", replicas=[VIRGINIA])
    assert len(asked) == 2  # other Regions


def test_where_nobody_can_be_asked_the_error_says_how_to_agree_in_advance(aws, monkeypatch):
    def nobody(question):
        raise EOFError

    monkeypatch.setattr(builtins, "input", nobody)
    with pytest.raises(preflight.Refused, match=r"gtlab\.connect\(\"aws\", yes=True\), or in a terminal --yes"):
        open_lab(yes=False)
    open_lab()
    monkeypatch.setenv(CONSENT_VARIABLE, preflight.agreed())
    monkeypatch.setattr(preflight, "_agreed", set())
    open_lab(yes=False)  # as a notebook of `gtlab tour --backend aws --yes`


def test_the_environment_alone_never_switches_to_aws(cloud, aws, monkeypatch):
    monkeypatch.setenv("GTLAB_HOME", str(cloud.folder))
    for name, value in {CONSENT_VARIABLE: "x", "AWS_PROFILE": "real", "AWS_DEFAULT_REGION": VIRGINIA}.items():
        monkeypatch.setenv(name, value)
    lab = gtlab.connect()
    assert lab.backend == "local" and lab.simulated
    assert lab.client(VIRGINIA).meta.endpoint_url == cloud.endpoints[VIRGINIA] and aws.passed == []


def test_only_this_machine_can_take_the_place_of_aws(account, monkeypatch):
    monkeypatch.setenv(REHEARSAL_VARIABLE, "http://192.0.2.1:8000")
    with pytest.raises(ValueError, match="only a local cloud on this machine"):
        open_lab()


# --- what is missing is said before anything is made ---

@pytest.mark.parametrize(("rule", "says"), [
    (Rule("UnrecognizedClientException", region=IRELAND),
     r"Region Ireland \(eu-west-1\) is not enabled in your AWS account\. Enable it in the AWS console"),
    (Rule("InvalidClientTokenId", region=SINGAPORE, status=403), r"Region Singapore .* is not enabled"),
    (Rule("InvalidClientTokenId", status=403), "AWS does not know these credentials in N. Virginia"),
    (Rule("ExpiredToken", operation="GetCallerIdentity", status=403), "have expired. Get new ones"),
    (Rule("ExpiredTokenException", operation="ListTables"), "have expired. Get new ones"),
    (Rule("RequestExpired", operation="GetCallerIdentity"), "refuses the time of this machine's clock"),
    (Rule("AccessDeniedException", DENIED.format("CreateTable"), operation="CreateTable"),
     r"^Your identity may not call dynamodb:CreateTable in Singapore \(ap-southeast-1\), N\. Virginia \(us-east-1\), "
     r"Ireland \(eu-west-1\): docs/aws\.md has the policy that the course needs\.$"),
    (Rule("AccessDeniedException", DENIED.format("UpdateTable"), operation="UpdateTable", region=VIRGINIA),
     "Your identity may not call dynamodb:UpdateTable in N. Virginia"),
    (Rule("AccessDeniedException", DENIED.format("TagResource") + " because no identity-based policy allows it",
          operation="CreateTable"), "Your identity may not call dynamodb:TagResource"),
    (Rule("AccessDeniedException", DENIED.format("ListTables") + " with an explicit deny in a service control policy",
          region=VIRGINIA), "A service control policy of your organization forbids dynamodb:ListTables in N. Virginia"),
    (Rule("AccessDeniedException", DENIED.format("CreateTable") + " because no permissions boundary allows it",
          operation="CreateTable"), "The permissions boundary of your identity does not allow dynamodb:CreateTable"),
    (Rule("ThrottlingException", operation="ListTables"), "AWS is throttling this account's calls .* Wait a minute"),
    (Rule("", region=IRELAND), r"Ireland \(eu-west-1\) does not answer on AWS\. Check the network"),
])
def test_what_is_missing_is_said_in_a_sentence_before_anything_is_made(aws, there, rule, says, monkeypatch):
    asked = answers(monkeypatch, "y")
    aws.rules = [rule]
    with pytest.raises(NotReady, match=says) as raised:
        open_lab(yes=False)
    assert asked == [] and aws.changes() == [] and there() == set()
    assert ACCOUNT not in str(raised.value)


def test_missing_credentials_and_profiles_are_explained(aws, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(NotReady, match=r"There are no AWS credentials on this machine\. Sign in with `aws sso login`"):
        open_lab()
    with pytest.raises(NotReady, match="There is no AWS profile 'nobody' on this machine"):
        open_lab(profile="nobody")
    assert aws.passed == []


def test_the_commands_that_are_printed_name_the_profile_that_was_named(aws, account, monkeypatch, tmp_path, capsys):
    """Pasted without it, they would go to another account."""
    path = tmp_path / "credentials"
    path.write_text(f"[learning]\naws_access_key_id = {account}\naws_secret_access_key = x\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    lab = open_lab(profile="learning")
    lab.client(SINGAPORE).list_tables()
    assert lab.last_command().endswith("--profile learning")
    assert "gtlab clean --backend aws --profile learning" in capsys.readouterr().out
    assert lab.clean_command == "gtlab clean --backend aws --profile learning"
    monkeypatch.setenv("AWS_PROFILE", "learning")
    assert open_lab().profile == ""  # the keys in the environment come first
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    assert open_lab().profile == "learning"


@pytest.mark.skipif(not shutil.which("aws", path=PATH), reason="needs the aws command")
def test_a_printed_command_makes_a_table_that_the_clean_up_finds(aws, there):
    lab = open_lab()
    client = lab.client(SINGAPORE)
    client.create_table(**ON_DEMAND)
    command = lab.last_command()
    lab.local_client(SINGAPORE).delete_table(TableName="Music")
    wait_until(lambda: there() == set(), "the table to be gone")
    (process.state_folder() / MADE_FILE).write_text(f'{{"run": "{ownership.run_id()}"}}')
    subprocess.run(["sh", "-c", command], check=True, timeout=300, capture_output=True,
                   env=os.environ | {"PATH": PATH, "AWS_ENDPOINT_URL": aws.url})
    assert there() == {("Music", SINGAPORE)}
    code, shown = clean("--yes")
    assert code == 0 and there() == set() and shown.endswith("0 left.\n")


def test_a_tour_with_a_profile_runs_its_notebooks_with_it(aws, account, monkeypatch, tmp_path):
    path = tmp_path / "credentials"
    path.write_text(f"[learning]\naws_access_key_id = {account}\naws_secret_access_key = x\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", new_account())  # somebody else's
    with cli_aws.Tour("instant", "aws", "learning", yes=True, rehearse=False).open({}):
        assert "AWS_ACCESS_KEY_ID" not in os.environ
        assert open_lab(yes=False).profile == "learning"  # as in a notebook, where nobody is asked
    assert "AWS_ACCESS_KEY_ID" in os.environ


def test_at_the_command_line_it_is_a_line_and_no_traceback(aws):
    aws.rules = [Rule("ExpiredToken", operation="GetCallerIdentity", status=403)]
    for command in (["clean", "--backend", "aws"], ["tour", "00", "--backend", "aws", "--yes"]):
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 1 and "Error: Your AWS credentials have expired." in done.output


@pytest.mark.parametrize("command", [["tour", "00", "--yes"], ["tour", "00", "--rehearse"],
                                     ["tour", "00", "--profile", "mine"], ["clean", "--profile", "mine"]])
def test_options_of_aws_need_aws_by_name(account, command):
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 1 and "with --backend aws only" in done.output


# --- nothing foreign is touched ---

def test_a_table_of_others_with_a_name_of_the_course_stops_the_course_before_it_starts(aws, there, stranger):
    stranger(VIRGINIA).create_table(**stages.MUSIC)
    with pytest.raises(NotReady, match=r"Table Music in N\. Virginia \(us-east-1\) is not gtlab's .* left alone"):
        open_lab()
    assert there() == {("Music", VIRGINIA)}
    open_lab(tables=["Music"])  # the user says that it may be used


def test_no_call_changes_a_table_of_others(aws, stranger):
    lab = open_lab()
    for table in ("Music", "Orders"):
        stranger(IRELAND).create_table(**ON_DEMAND | {"TableName": table})
    client, key = lab.client(IRELAND), {"Artist": {"S": "a"}}
    arn = client.describe_table(TableName="Music")["Table"]["TableArn"]
    before = len(aws.changes())
    for call, params in (
            (client.put_item, {"TableName": "Music", "Item": key}),
            (client.update_item, {"TableName": arn, "Key": key}),
            (client.delete_item, {"TableName": "Orders", "Key": key}),
            (client.batch_write_item, {"RequestItems": {"Orders": [{"PutRequest": {"Item": key}}]}}),
            (client.transact_write_items, {"TransactItems": [{"Put": {"TableName": "Music", "Item": key}}]}),
            (client.execute_statement, {"Statement": "INSERT INTO \"Music\" VALUE {'Artist': 'a'}"}),
            (client.update_table, {"TableName": "Music", "DeletionProtectionEnabled": True}),
            (client.update_time_to_live, {"TableName": "Music", "TimeToLiveSpecification": {
                "Enabled": True, "AttributeName": "x"}}),
            (client.tag_resource, {"ResourceArn": arn, "Tags": [{"Key": RUN_TAG, "Value": "mine"}]}),
            (client.delete_table, {"TableName": "Music"}),
            (lab.new_client(IRELAND).delete_table, {"TableName": "Orders"}),
            (lab.local_client(IRELAND).delete_table, {"TableName": "Orders"})):
        with pytest.raises(guard.ForeignTable, match=r"was not sent: table (Music|Orders) in Ireland .* left alone"):
            call(**params)
    assert len(aws.changes()) == before
    assert client.get_item(TableName="Music", Key=key)["ResponseMetadata"]["HTTPStatusCode"] == 200  # reads are free
    lab = open_lab(tables=["Music", "Orders"])
    lab.client(IRELAND).put_item(TableName="Orders", Item=key)


def test_gtlabs_own_tables_are_known_by_tag_by_intent_and_by_their_replicas(aws, stranger):
    lab = open_lab()
    stages.ensure_today(lab)
    key = {"Artist": {"S": "early bird"}}
    lab.client(VIRGINIA).put_item(TableName=stages.TODAY, Item=key)  # a replica has no tag
    (process.state_folder() / MADE_FILE).write_text(f'{{"run": "{ownership.run_id()}"}}')
    open_lab().client(VIRGINIA).put_item(TableName=stages.TODAY, Item=key)  # it is one of a tagged table
    (process.state_folder() / MADE_FILE).unlink()
    with pytest.raises(NotReady, match=f"was made by another run of gtlab .tag {RUN_TAG}: .*--all-runs"):
        open_lab()


def test_a_table_that_is_gone_and_made_again_by_others_is_theirs(aws, stranger):
    lab = open_lab()
    lab.client(SINGAPORE).create_table(**ON_DEMAND)
    lab.client(SINGAPORE).put_item(TableName="Music", Item={"Artist": {"S": "a"}})
    lab.client(SINGAPORE).delete_table(TableName="Music")
    other = stranger(SINGAPORE)
    wait_until(lambda: "Music" not in other.list_tables()["TableNames"], "the table to be gone")
    other.create_table(**ON_DEMAND)
    with pytest.raises(guard.ForeignTable):
        lab.client(SINGAPORE).put_item(TableName="Music", Item={"Artist": {"S": "a"}})


def test_the_names_and_regions_of_the_footprint_are_those_of_the_course(aws):
    assert set(footprint.TABLES) == set(stages.TABLES)
    lab = open_lab()
    assert footprint.strong_regions(lab.choice) == stages.strong_regions(lab)


# --- the clean-up ---

def clean(*options: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["clean", "--backend", "aws", *options])
    return done.exit_code, done.stdout


def test_clean_up_finds_tables_by_tag_in_every_region_and_ends_with_0_left(aws, there, stranger):
    lab = open_lab()
    stages.ensure_baskets(lab)
    stages.ensure_strong(lab)
    stages.ensure_witness(lab)
    lab.client("eu-west-3").create_table(**ON_DEMAND | {"TableName": "Mine"})
    stranger("sa-east-1").create_table(**stages.MUSIC)
    stranger("sa-east-1").create_table(**ON_DEMAND | {"TableName": "Orders"})
    theirs = {("Music", "sa-east-1"), ("Orders", "sa-east-1")}
    before = there()
    code, shown = clean("--dry-run")
    assert code == 0 and there() == before and shown.count("To be deleted:") == 9
    assert "To be deleted: Mine in Paris (eu-west-3)" in shown and "Left alone: Music in São Paulo" in shown
    code, shown = clean("--yes")
    assert code == 0 and there() == theirs
    assert "0 left.\nLeft alone: Music in São Paulo" in shown and ACCOUNT not in shown
    described = [each for each in aws.passed if each.operation == "DescribeTable" and each.region == "sa-east-1"]
    assert {each.asked["TableName"] for each in described} == {"Music"}  # the tag says which tables to look at
    assert clean("--yes")[1].endswith("0 left: the course has no tables here.\n" + shown.splitlines()[-1] + "\n")


def test_clean_up_works_from_another_machine(aws, there):
    stages.ensure_baskets(open_lab())
    (process.state_folder() / MADE_FILE).unlink()  # what another machine does not have: the intents and the run's id
    code, shown = clean("--yes")
    assert code == 0 and shown.count("another run of gtlab made it") == len(there()) == 3  # replicas have no tag
    assert shown.splitlines()[-1].endswith("made 3 of these. To delete them too: gtlab clean --backend aws --all-runs")
    assert "0 left: this run of gtlab has no tables here." in shown
    assert clean("--dry-run")[1].count("--all-runs") == 1
    code, shown = clean("--yes", "--all-runs")
    assert code == 0 and shown.endswith("0 left.\n") and there() == set()


def test_clean_up_does_not_need_the_tagging_api(aws, there):
    lab = open_lab()
    stages.ensure_today(lab)
    lab.client("eu-west-3").create_table(**ON_DEMAND | {"TableName": "Mine"})
    aws.rules = [Rule("AccessDeniedException", operation="GetResources")]
    code, shown = clean("--yes")
    assert code == 0 and shown.endswith("0 left.\n") and there() == set()


def test_items_of_others_and_deletion_protection_keep_a_table(aws, there, stranger):
    lab = open_lab()
    stages.ensure_today(lab)
    stages.ensure_baskets(lab)
    stranger(VIRGINIA).put_item(TableName=stages.TODAY, Item={"Artist": {"S": "payroll"}})
    lab.client(IRELAND).update_table(TableName="Baskets", DeletionProtectionEnabled=True)
    here, key = lab.client(SINGAPORE), {"Artist": {"S": "payroll"}}
    wait_until(lambda: "Item" in here.get_item(TableName=stages.TODAY, Key=key), "the item to arrive")
    listed = clean("--dry-run")[1]
    assert "but not without --items, because it has an item with Artist = 'payroll'" in listed
    assert "but not without --unprotect, because it has deletion protection" in listed
    code, shown = clean("--yes")
    assert code == 1
    assert "MusicToday in Singapore (ap-southeast-1): it has items that the course does not write" in shown
    assert "Baskets in Ireland (eu-west-1): it has deletion protection" in shown
    assert "To delete it too: gtlab clean --backend aws --unprotect" in shown
    left = {(stages.TODAY, SINGAPORE), (stages.TODAY, VIRGINIA), ("Baskets", SINGAPORE), ("Baskets", IRELAND)}
    assert there() == left
    when = re.search(r"24-hour rule: .* after (\d{4}-\d\d-\d\d \d\d:\d\d) UTC", shown)
    assert when
    code, shown = clean("--yes", "--items", "--unprotect")
    assert code == 0 and there() == set()


def test_regions_that_are_not_enabled_or_fail_half_way(aws, there):
    stages.ensure_baskets(open_lab())
    off = Rule("UnrecognizedClientException", region="af-south-1|me-south-1")
    aws.rules = [off, Rule("InternalServerError", region=VIRGINIA, operation="DeleteTable", status=500),
                 Rule("ThrottlingException", region=IRELAND, operation="DescribeTable", times=1)]
    code, shown = clean("--yes")
    assert code == 1 and "af-south-1" not in shown
    assert "Baskets in N. Virginia (us-east-1): the service refuses to delete it" in shown
    aws.rules = [off]
    code, shown = clean("--yes")
    assert code == 0 and shown.endswith("0 left.\n") and there() == set()
    aws.rules = [off, Rule("", region=IRELAND)]
    code, shown = clean("--yes")
    assert code == 1 and "Ireland (eu-west-1): it was not searched" in shown


def test_regions_that_an_organization_forbids_are_named_and_do_not_count(aws, there):
    stages.ensure_today(open_lab())
    because = DENIED.format("ListTables") + " with an explicit deny in a service control policy"
    aws.rules = [Rule("AccessDeniedException", because, region="eu-.*|sa-east-1")]
    code, shown = clean("--yes")
    assert code == 0 and there() == set() and "0 left.\nNot searched, because your identity may not list" in shown
    aws.rules = []
    stages.ensure_today(open_lab())
    aws.rules = [Rule("AccessDeniedException", region=VIRGINIA, operation="ListTables")]
    code, shown = clean("--yes")  # gtlab knows that there is a table
    assert code == 1 and "N. Virginia (us-east-1): it was not searched" in shown


def test_a_clean_up_without_the_right_to_delete_says_which_right(aws, there):
    stages.ensure_today(open_lab())
    aws.rules = [Rule("AccessDeniedException", DENIED.format("DeleteTable"), operation="DeleteTable")]
    code, shown = clean("--yes")
    assert code == 1 and "Your identity may not call dynamodb:DeleteTable" in shown and ACCOUNT not in shown


# --- minutes and costs, by notebook ---

def by_notebook() -> list[str]:
    """The table of docs/aws.md."""
    choice = checked_choice(SINGAPORE, [VIRGINIA, IRELAND])

    def row(name: str, minutes: str, use: footprint.Use) -> str:
        dollars = math.ceil(1000 * footprint.dollars_most(choice, use)) / 1000
        return (f"| {name} | {minutes} | {math.ceil(use.wait_s / 60) or '–'} | {use.write:,} | {use.read:,} | "
                f"{dollars:.3f} |")

    rows, total = [], 0
    for path in find_notebooks():
        first = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
        minutes = int(re.findall(r"\*\*Time\*\* \| (\d+) minutes", first)[0])
        total += minutes
        rows.append(row(path.stem, str(minutes), footprint.NOTEBOOKS[path.stem[:2]]))
    return [*rows, row("all twelve", str(total), footprint.COURSE)]


def test_the_documentation_has_the_minutes_and_costs_of_each_notebook():
    page = Path(__file__).parent.parent.joinpath("docs", "aws.md").read_text(encoding="utf-8")
    assert "\n".join(by_notebook()) in page


def test_waits_are_at_least_as_long_as_those_of_the_local_cloud():
    for step, longest_s in footprint.LONGEST_S.items():
        assert longest_s >= CONTROL_PLANE_S[step][1], step


def test_the_reads_of_a_measurement_in_the_course_are_within_the_bound(cloud):
    """Even if no item arrives: the most that the plan states, for the samples that the notebooks take."""
    lab = gtlab.connect(home=SINGAPORE, replicas=[VIRGINIA, IRELAND])
    stages.ensure_global_table(lab)
    for notebook, more in (("03", {"samples": 4, "rate": 1}), ("04", {"samples": 60})):
        planned = measure.plan(lab, "Music", **more)
        for unit in ("read", "write"):
            most = planned[planned["unit"] == unit]["units_most"].sum()
            assert most < getattr(footprint.NOTEBOOKS[notebook], unit), (notebook, unit)
