"""What both halves of gtlab must agree on. Each name stands here once; neither half defines it again.

The learner's half and the local cloud are separate programs that meet over HTTP. This module holds the names that one
sends or writes and the other reads: options, headers, paths, file names, exit codes. It imports nothing of gtlab.
"""

from __future__ import annotations

import enum
import re

# Options of the local cloud
NETWORKS = ("realistic", "fast", "instant")
HISTORIC, REFUSED = "historic", "2026"
FACES = (HISTORIC, REFUSED)  # how the calls of version 2017.11.29 answer: as they worked, or as AWS refuses them today
BUILT_IN = "built-in"  # the name of the lag model that the local cloud has by itself
OUTAGES = ("timeout", "refused", "error")  # how the endpoint of a Region that is down fails

# Knobs, which break the simulated world
KNOB_NAMES = ("partition", "isolate", "outage", "slow", "lag", "throttle", "caller")
PAIRS = ("partition", "slow")     # those whose place is two Regions, in either order
UNITS = {"slow": "ms", "lag": "s"}  # of those whose values are numbers

# Requests
CALLER_HEADER = "x-gtlab-caller"  # the Region that a caller says it is in
ACCOUNT_HEADER = "x-gtlab-account"  # the account of a request to a shared cloud's control API
CONTROL_PREFIX = "/_gtlab/v1"     # the control API's path
LOOPBACK = "127.0.0.1"
ALIVE_S = 15.0                    # the longest silence of an event stream, in seconds: then it sends a comment

# Environment variables
HOME_VARIABLE = "GTLAB_HOME"      # the state folder
SHOW_ACCOUNT_VARIABLE = "GTLAB_SHOW_ACCOUNT"  # 1: notebooks, pages and logs may show AWS account ids
TOKEN_VARIABLE = "GTLAB_TOKEN"    # a token for the server: command lines can be read by everybody on the machine
REHEARSAL_VARIABLE = "GTLAB_REHEARSAL"  # a local cloud's URL, which takes the place of AWS where AWS is asked for
CONSENT_VARIABLE = "GTLAB_CONSENT"      # what `gtlab tour --backend aws` was allowed, for its notebooks
# A local cloud elsewhere, for programs that name none: its URL, the name of the account there, and the token.
CLOUD_VARIABLE, ACCOUNT_VARIABLE, CODE_VARIABLE = "GTLAB_CLOUD", "GTLAB_ACCOUNT", "GTLAB_CODE"
# On a JupyterHub: 1 if the local cloud requires its token of requests from this machine too, which has other users; the
# ID of the server's process, with which what belongs to a learner ends; the address of the hub's class.
GUARD_VARIABLE, SERVER_VARIABLE, CLASS_VARIABLE = "GTLAB_GUARD", "GTLAB_SERVER_PID", "GTLAB_CLASS"

# Files in the state folder
STATE_FILE = "cloud.sqlite3"      # the local cloud's kept state; its logs have the same name with an ending
PROCESS_FILE = "cloud.json"       # the running process: port, pid, address, token
LOCK_FILE = "cloud.lock"          # held as long as a local cloud lives
LOG_FILE = "cloud.log"            # the server's log
CHOICE_FILE = "choice.json"       # the Regions that were chosen last
ACCOUNTS_FILE = "accounts.json"   # of a shared cloud: hashes of the accounts' secrets
ACCOUNTS_FOLDER = "accounts"      # of a shared cloud: the accounts' states
SERVER_FILE = "server.lock"       # on a JupyterHub: held until what belongs to a learner's server has ended
SECRETS_FILE = "secrets.json"     # the learner's secrets for shared clouds
LAG_MODEL_FILE = "lag-model.json"  # the local cloud's lag model, if it is not the built-in one
PROGRESS_FILE = "progress.json"   # what the learner has predicted and solved
MADE_FILE = "made.json"           # which tables gtlab's clients asked for, noted before each call

# The tag of every table that gtlab's clients create. Its value is the id of the state folder that they belong to.
RUN_TAG = "gtlab:run"


class Exit(enum.IntEnum):
    """Exit codes of the server process that ``gtlab up`` explains."""

    ALREADY_RUNS = 3
    PORT_IN_USE = 4
    DISK = 5
    NO_ADDRESS = 6
    NEWER_STATE = 7  # the state was written in a newer disk format; the last line of the log says which gtlab reads it


class Checkup(enum.IntEnum):
    """Exit codes of ``gtlab doctor``; 2 is a wrong option, as of every command."""

    FIT = 0      # perhaps with warnings
    PROBLEM = 1  # something must be mended first


# Names
DEFAULT_ACCOUNT = "000000000000"  # the account of every access key ID that is not a 12-digit number
ACCOUNT = re.compile(r"[0-9]{12}")
TABLE = re.compile(r"[A-Za-z0-9_.-]{3,255}")

# The Regions that can be members of a global table with strong consistency (AWS's announcement of September 2026).
STRONG_REGIONS = ("us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1",
                  "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ca-central-1", "eu-north-1", "eu-south-2",
                  "ap-south-1", "ap-southeast-1")
