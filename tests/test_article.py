"""The article's commands as they stand, pasted one straight after another, through the real ``aws`` command.

Of its loop, `make test` runs three rounds, and `make soak` all nine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import boto3
import pytest
from support import IRELAND, SINGAPORE, SOAK, VIRGINIA, read, song, wait_until

from gtlab.localcloud import process

ARTICLE = Path(__file__).with_name("article.md")
BIN = Path(sys.executable).parent
PATH = f"{BIN}{os.pathsep}{os.environ['PATH']}"

pytestmark = [pytest.mark.server, pytest.mark.slow,
              pytest.mark.skipif(not (shutil.which("aws", path=PATH) and shutil.which("bash")),
                                 reason="needs bash and the aws command")]


def commands() -> list[str]:
    """The article's blocks of shell code, in its order."""
    return [textwrap.dedent(block) for block in re.findall(r"(?ms)^ *```bash\n(.*?)^ *```", ARTICLE.read_text())]


def bash(script: str) -> subprocess.CompletedProcess:
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=300,
                          env=os.environ | {"PATH": PATH})
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.soak
@pytest.mark.long(50)
def test_the_articles_commands_work_as_they_stand():
    blocks = commands()
    assert len(blocks) == 9
    with process.throwaway("realistic", seed=1) as cloud:
        clients = {region: boto3.client("dynamodb", region, endpoint_url=cloud.url, aws_access_key_id="gtlab",
                                        aws_secret_access_key="gtlab") for region in (SINGAPORE, VIRGINIA, IRELAND)}
        *stages, loop = blocks
        variables = bash("gtlab env").stdout
        for block in stages:
            bash(f"{variables}\n{block}")
        for region in (VIRGINIA, IRELAND):
            wait_until(lambda region=region: read(clients[region], song(1)), f"the article's item to be in {region}")

        clients[SINGAPORE].put_item(TableName="Music", Item=song("stale"))
        assert read(clients[IRELAND], song("stale")) is None  # straight after the put: half a second later at best
        wait_until(lambda: read(clients[IRELAND], song("stale")), "the item to be in Ireland")

        assert "{2..10}" in loop
        last = 10 if SOAK else 4  # each item takes two starts of the aws command, which is slow
        done = bash(f"{variables}\nset -e\n{loop.replace('{2..10}', f'{{2..{last}}}')}")
        for number in range(2, last + 1):
            assert f"Inserting Item:item_{number} and" in done.stdout
            assert f'"S": "item_{number}"' in done.stdout  # what the get in Ireland found
        assert done.stderr.count("real") == last - 1  # what `time` says
        found = clients[VIRGINIA].scan(TableName="Music")["Items"]
        assert {f"item_{number}" for number in range(1, last + 1)} <= {item["Artist"]["S"] for item in found}
