"""How soon do the class's board and one shared local cloud answer while fifty learners work, and how much memory and
processor does a learner take?

Fifty learners have an account each on one shared local cloud (`gtlab up --shared`, realistic network) and are in a
class on one board. They work through a notebook. Ten of them are real: a kernel runs the cells, and the process that
connects a learner to the board runs beside it. The others are traffic: what one more real notebook has sent to the
board and to the cloud just before, recorded by a proxy, is sent again at the times of its cells. Exercises are solved
and predictions answered by chance. Before each cell a learner thinks: the time that the notebook's header plans,
without the time that its cells take, divided by FASTER, give or take a half. Computing and waiting are not shortened.
All open the notebook within fifteen seconds. A recorded learner treats a lost board as the real process does: it
tries again, and sends everything again.

- *a put*: a client puts 20 items per second into an account of its own, first alone on the cloud, then among the fifty,
  then alone again. A put's time counts from the moment when it was due. "Added" is against the first time alone.
  *By processor time*: the same without sockets and on a machine that does nothing else, as in turns.py, with recorded
  learners only. The load of the machine does not disturb this.
- *the board*: every report and question of the recorded learners and every act of the instructor, from connecting to
  the end of the answer; and how long after an act of the instructor (a note every three seconds) each learner's stream
  has it. The instructor's page and the projector are open; a message to them counts from the moment when the board
  begins to draw. Requests that a killed board did not answer are not counted; all those after its restart are.
- *kill -9*: in the middle the board is killed and started again. Answers that it had acknowledged are looked for in its
  file before the restart; in the end, those that `gtlab class export` prints are compared with all that were given.
- *a learner on a machine of their own*: private memory (pages that no other process has) and processor time of a
  learner's processes, with a local cloud of their own and JupyterLab without a browser: idle, when the notebook has
  been run to be read; and while it runs without a pause.

Kernels, recorded traffic and what measures share the processors with the board and the cloud: on a busy machine the
figures show the machine. Usage: python benchmarks/class_of_fifty.py [--learners N] [--real N] [--faster N]
[--notebooks 03 04 …]
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import csv
import http.client
import io
import json
import math
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import browser
from crowd import by_processor, replay
from crowd.recorder import Recorder
from crowd.replay import STARTING_S
from crowd.usage import KINDS, Used, Watch, cpu_s, private_mb
from other_work import at_rank
from served_rate import free_port

import gtlab
from gtlab import tour
from gtlab.classroom import catalogue
from gtlab.contract import ACCOUNT_VARIABLE, CLOUD_VARIABLE, CODE_VARIABLE, HOME_VARIABLE, SECRETS_FILE
from gtlab.course import stages
from gtlab.course.kernels import Kernels
from gtlab.lab import elsewhere
from gtlab.lab.choice import DEFAULT_HOME
from gtlab.localcloud import process

PUTS_PER_S = 20.0
ALONE_S = 20.0
IDLE_S = 12.0
DEADLINE_S = 240.0   # for one cell
DOWN_S = 2.0         # from the board's end to its start

# Runs in each kernel first: a learner thinks before each cell, and JupyterLab says which cell it runs.
READER = """
import json, os, random, time
from IPython import get_ipython

_cells = {"".join(cell["source"]): cell["id"] for cell in json.load(open(os.environ["BENCH_NOTEBOOK"]))["cells"]}

def _think(info):
    time.sleep(float(os.environ["BENCH_THINK_S"]) * random.uniform(0.5, 1.5))
    info.cell_id = _cells.get(info.raw_cell)
    with open(os.environ["BENCH_MARKS"], "a") as marks:
        print(time.time(), file=marks)

get_ipython().events.register("pre_run_cell", _think)
"""


# A real learner

class Learner(NamedTuple):
    """Somebody with a state folder. ``cloud`` is the URL of the shared cloud and ``code`` its join code; without them
    they have a local cloud of their own."""

    name: str
    home: Path
    cloud: str = ""
    code: str = ""
    notebooks: tuple[str, ...] = ()

    @property
    def env(self) -> dict[str, str]:
        shared = {CLOUD_VARIABLE: self.cloud, ACCOUNT_VARIABLE: self.name, CODE_VARIABLE: self.code}
        return {HOME_VARIABLE: str(self.home), **(shared if self.cloud else {})}

    @property
    def account(self) -> str:
        return elsewhere.number_of(self.name)

    def gtlab(self, *arguments: str) -> None:
        subprocess.run([sys.executable, "-m", "gtlab", *arguments], check=True, stdout=subprocess.DEVNULL,
                       env=os.environ | self.env)

    @contextlib.contextmanager
    def in_class(self, url: str, code: str) -> Iterator[None]:
        self.gtlab("class", "join", url, code, "--as", self.name, "--yes")
        try:
            yield
            time.sleep(2.0)  # until the last report
        finally:
            self.gtlab("class", "leave")

    def work(self, think_s: float) -> None:
        """Run the notebooks. The file ``marks`` has the moments when cells began (epoch seconds)."""
        startup = self.home / "ipython/profile_default/startup"
        startup.mkdir(parents=True)
        (startup / "00.py").write_text(READER, encoding="utf-8")
        for notebook in tour.find_notebooks(self.notebooks):
            questions = [id for id in catalogue.questions() if id.startswith(notebook.name[:2])]
            answers = ",".join(f"{id}={random.choice(sorted(catalogue.options(id) or ()))}" for id in questions)
            kernels = Kernels(env=self.env | {
                "IPYTHONDIR": str(self.home / "ipython"), "JPY_SESSION_NAME": notebook.name,
                "GTLAB_PREDICTIONS": answers, "BENCH_THINK_S": str(think_s), "BENCH_MARKS": str(self.home / "marks"),
                "BENCH_NOTEBOOK": str(notebook)})
            result, = tour.run([notebook], {}, self.home / "out", solve=True, kernels=kernels, progress=False)
            if not result.ok:
                raise SystemExit(f"{self.name}, {notebook.name}: {result.error}")

    def answers(self) -> set[tuple[str, str, str]]:
        """(name, question, option) of what this learner has answered."""
        kept = json.loads((self.home / "progress.json").read_text(encoding="utf-8"))["records"]
        return {(self.name, id, each["value"]) for id, each in kept.get("predicted", {}).items()}


def learner(file: str) -> None:
    """A real learner's time in the class, in a process of its own: papermill is not made for threads."""
    given = json.loads(Path(file).read_text())
    me = Learner(given["name"], Path(given["home"]), given["cloud"], given["code"], given["notebooks"])
    with me.in_class(*given["board"]):
        wait_to_begin()
        time.sleep(given["late_s"])
        me.work(given["think_s"])


# The board

class Board:
    """`gtlab class start` in a process."""

    def __init__(self, home: Path):
        home.mkdir()
        self._home, self.port, self._process = home, free_port(), None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gtlab", "class", "start", "--port", str(self.port), "--name", "Fifty"],
            stdout=subprocess.PIPE, text=True, env=os.environ | {HOME_VARIABLE: str(self._home)})
        atexit.register(self._process.kill)
        said = ""
        while "Ctrl-C" not in said:
            line = self._process.stdout.readline()
            if not line:
                raise SystemExit(f"the board did not start: {said}")
            said += line
        self.url = f"http://127.0.0.1:{self.port}"
        self.code = said.split(f"class join {self.url} ")[1].split()[0]
        self.token, self.projector = (said.split(f"/{page}#")[1].split()[0] for page in ("board", "projector"))

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def export(self) -> set[tuple[str, str, str]]:
        """(name, question, option) of each answer that the class's file has."""
        told = subprocess.run([sys.executable, "-m", "gtlab", "class", "export", "answers"], check=True,
                              capture_output=True, text=True, env=os.environ | {HOME_VARIABLE: str(self._home)}).stdout
        return {(row["learner"], row["question"], row["option"])
                for row in csv.DictReader(io.StringIO(told.lstrip("\ufeff")))}


# The client whose puts are measured, in a process of its own

def probe(port: str, account: str, token: str) -> None:
    """Put items until standard input ends; print when each put was due and how many milliseconds it took; inf if its
    connection was closed."""
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Security-Token": token,
               "X-Amz-Target": "DynamoDB_20120810.PutItem", "Authorization": "AWS4-HMAC-SHA256 Credential="
               f"{account}/20260101/{DEFAULT_HOME}/dynamodb/aws4_request, SignedHeaders=host, Signature=0"}
    ends = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ends.set())).start()
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
    began, number, found = time.monotonic(), 0, []
    while not ends.is_set():
        due = began + number / PUTS_PER_S
        time.sleep(max(0.0, due - time.monotonic()))
        number += 1
        try:
            connection.request("POST", "/", json.dumps({"TableName": stages.TABLE, "Item": {
                "Artist": {"S": f"item_{number % 1000}"}, "SongTitle": {"S": "x" * 100}}}), headers)
            answer = connection.getresponse()
            told = answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            found.append((due, math.inf))
            continue
        if answer.status != 200:
            raise SystemExit(f"a put failed: {told.decode()}")
        found.append((due, 1000 * (time.monotonic() - due)))
    for due, took_ms in found:
        print(due, took_ms)


# The scenes

@contextlib.contextmanager
def at_home(home: Path) -> Iterator[None]:
    """This process uses another state folder."""
    before = os.environ[HOME_VARIABLE]
    os.environ[HOME_VARIABLE] = str(home)
    try:
        yield
    finally:
        os.environ[HOME_VARIABLE] = before


def prepare(learners: Sequence[Learner], home: Path) -> dict[str, str]:
    """Give each learner an account with the global table that the notebooks begin with. Returns the secrets."""
    def one(learner: Learner) -> None:
        stages.ensure_global_table(gtlab.connect(learner.cloud, account=learner.name, token=learner.code))

    home.mkdir()
    with at_home(home), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(one, learners))
        return json.loads((home / SECRETS_FILE).read_text())


def sizes(folder: str, url: str, code: str, *notebooks: str) -> None:
    """One learner on their own local cloud: idle in JupyterLab, then working. Runs in a process of its own, and prints
    what each kind of process used: idle per second, and in both notebooks."""
    home = Path(folder)
    learner = Learner("Alone", home, notebooks=notebooks)
    os.environ |= learner.env
    learner.gtlab("up", "--network", "realistic")
    try:
        with learner.in_class(url, code):
            with browser.gtlab_lab(home / "user") as jupyter:
                _read(jupyter, notebooks[0])
                time.sleep(2.0)
                watch = Watch([home])
                time.sleep(IDLE_S)
                idle = {kind: (used.mb, used.cpu_s / IDLE_S) for (_, kind), used in watch.end().items()}
            watch = Watch([home])
            learner.work(0.0)
            working = {kind: used for (_, kind), used in watch.end().items()}
    finally:
        learner.gtlab("down")
    print(json.dumps([idle, working]))


def _read(jupyter: browser.Jupyter, name: str) -> None:
    """Run a notebook in a kernel of JupyterLab's, but for its exercise."""
    from jupyter_client import BlockingKernelClient

    notebook, = tour.find_notebooks([name])
    kernel = jupyter.ask("POST", "sessions", {"path": notebook.name, "name": notebook.name, "type": "notebook",
                                              "kernel": {"name": "python3"}})["kernel"]["id"]
    file, = Path(tempfile.gettempdir()).glob(f"gtlab-*/kernel-{kernel}.json")
    client = BlockingKernelClient(connection_file=str(file))
    client.load_connection_file()
    client.start_channels()
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        code = "".join(cell["source"])
        if cell["cell_type"] == "code" and "your code" not in code and "check.exercise" not in code:
            answer = client.execute(code, reply=True, timeout=DEADLINE_S)
            if answer["content"]["status"] != "ok":
                raise SystemExit(f"{name}: {answer['content']}")
    client.stop_channels()


def start(what: str, *arguments: object) -> subprocess.Popen:
    """A part of this script in a process of its own, which is ended with this one."""
    part = subprocess.Popen([sys.executable, __file__, f"--{what}", *map(str, arguments)], text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    atexit.register(part.kill)
    return part


def wait_to_begin() -> None:
    """In a part: say that it is ready, and wait for the others."""
    print("ready", flush=True)
    sys.stdin.readline()


def begin(parts: Sequence[subprocess.Popen]) -> None:
    """Wait until all parts are ready, and have them begin."""
    for part in parts:
        if not part.stdout.readline():
            ended(part)
    for part in parts:
        part.stdin.write("\n")
        part.stdin.flush()


def ended(part: subprocess.Popen) -> str:
    """What it printed. Its standard input ends."""
    told = part.communicate()[0]
    if part.returncode:
        raise SystemExit(f"a part of the benchmark failed: {' '.join(part.args[2:])}")
    return told


def times(what: str, took: Sequence[float], more: str = "") -> str:
    took = sorted(took)
    shown = f"{at_rank(took, 0.5):>9.1f}{at_rank(took, 0.99):>9.1f}{took[-1]:>9.1f}" if took else ""
    return f"{what:46}{len(took):>8}{shown}{more}"


class Class:
    """The board, the shared cloud and everybody's accounts there."""

    def __init__(self, asked: argparse.Namespace, folder: Path):
        self._folder, self._asked = folder, asked
        self.cloud, _ = process.up(shared=True, network="realistic", seed=1)
        self.port = int(self.cloud.url.rpartition(":")[2])
        self.board = Board(folder / "board")
        self.memory = {"the board, before anybody joins": private_mb(self.board.pid),
                       "shared cloud, without accounts": private_mb(self.cloud.pid)}
        self.recorder = Recorder({"board": self.board.port, "cloud": self.port})
        everybody = [self._learner(f"Learner {number:02}") for number in range(1, asked.learners + 1)]
        self.real, self.played = everybody[:asked.real], everybody[asked.real:]
        self.recorded, self.prober = self._learner("Recorded"), self._learner("Prober")

    def _learner(self, name: str) -> Learner:
        return Learner(name, self._folder / name, self.cloud.url, self.cloud.code, tuple(self._asked.notebooks))

    def prepare(self) -> float:
        """Open all accounts. Returns the processor time per second of the cloud, when nobody calls."""
        accounts = [*self.real, *self.played, self.recorded, self.prober]
        self._secrets = prepare(accounts, self._folder / "learners")
        time.sleep(2.0)  # until the accounts' states are on disk
        used = cpu_s(self.cloud.pid)
        time.sleep(IDLE_S / 2)
        self.memory[f"the same, {len(accounts)} accounts, idle"] = private_mb(self.cloud.pid)
        return (cpu_s(self.cloud.pid) - used) / (IDLE_S / 2)

    def secret(self, learner: Learner) -> str:
        return self._secrets[f"{self.cloud.url} {learner.account}"]

    def _enter(self, learner: Learner, cloud: str, board: str, **how: float) -> subprocess.Popen:
        """Start a real learner, with their secret."""
        learner.home.mkdir()
        (learner.home / SECRETS_FILE).write_text(json.dumps({f"{cloud} {learner.account}": self.secret(learner)}))
        file = learner.home / "given.json"
        file.write_text(json.dumps(learner._replace(cloud=cloud, home=str(learner.home))._asdict() | how | {
            "board": [board, self.board.code]}))
        return start("learner", file)

    def record(self) -> dict[str, Any]:
        """What a real notebook sends, when its cells began, and how long a learner is to think before each of them."""
        url = self.recorder.url
        learner = self._enter(self.recorded, url["cloud"], url["board"], late_s=3.0, think_s=0.0)
        begin([learner])
        ended(learner)
        marks = [float(line) for line in (self.recorded.home / "marks").read_text().split()]
        began, token = marks[0] - 1.0, f"{self.cloud.code}.{self.secret(self.recorded)}"
        sent = [(max(began, at), line, to, raw.decode("latin-1").replace(token, "RECORDED_TOKEN").replace(
            self.recorded.account, "RECORDED_ACCOUNT")) for at, line, to, raw in self.recorder.kept]
        took_s = sent[-1][0] - began
        return {"began": began, "marks": marks, "sent": sent, "took_s": took_s,
                "think_s": max(0.0, 60 * self._asked.minutes - took_s) / self._asked.faster / len(marks)}

    def probe(self) -> subprocess.Popen:
        return start("probe", self.port, self.prober.account, f"{self.prober.code}.{self.secret(self.prober)}")

    def enter(self, recording: dict[str, Any]) -> list[subprocess.Popen]:
        """All learners join. Returns their processes, the recorded learners' last."""
        file = self.recording = self._folder / "crowd.json"
        file.write_text(json.dumps(recording | {
            "cloud_port": self.port, "board": {"port": self.board.port, "code": self.board.code, "token":
                                               self.board.token, "projector": self.board.projector},
            "learners": [{"name": each.name, "account": each.account, "secret": f"{each.code}.{self.secret(each)}"}
                         for each in self.played]}))
        return [*(self._enter(each, self.cloud.url, self.board.url, think_s=recording["think_s"],
                              late_s=random.uniform(0, STARTING_S)) for each in self.real), start("crowd", file)]

    def work(self, recording: dict[str, Any], learners: list[subprocess.Popen]) -> Worked:
        """All learners have begun. In the middle the board is killed."""
        began, watch = time.monotonic(), Watch([each.home for each in self.real])
        clouds, boards = -cpu_s(self.cloud.pid), -cpu_s(self.board.pid)
        time.sleep(STARTING_S + (recording["think_s"] * len(recording["marks"]) + recording["took_s"]) / 2)
        self.memory["the board, with all learners"] = private_mb(self.board.pid)
        boards += cpu_s(self.board.pid)
        self.board.kill()
        killed, kept = time.time(), self.board.export()
        time.sleep(DOWN_S)
        self.board.start()
        started = time.time()
        failed = [each for each in learners[:-1] if each.wait()]  # each has said why
        ended(learners[-1])
        self.memory["shared cloud, at the end"] = private_mb(self.cloud.pid)
        seconds = time.monotonic() - began
        return Worked(seconds, watch.end(), (boards + cpu_s(self.board.pid)) / seconds,
                      (clouds + cpu_s(self.cloud.pid)) / seconds, (killed, started), kept, len(failed),
                      json.loads((self._folder / "crowd.found").read_text()))


class Worked(NamedTuple):
    """What was measured while the fifty worked. ``board`` and ``cloud`` are processor seconds per second; ``down`` is
    when the board was killed and when it answered again, ``kept`` what its file had in between; ``failed`` counts
    the real learners who could not finish, ``crowd`` is what :class:`crowd.replay.Crowd` found."""

    seconds: float
    used: dict[tuple[Path, str], Used]
    board: float
    cloud: float
    down: tuple[float, float]
    kept: set[tuple[str, str, str]]
    failed: int
    crowd: dict[str, Any]


def scenes(asked: argparse.Namespace, room: Class, alone: Path) -> None:
    began = time.monotonic()
    load = [os.getloadavg()[0]]
    one = start("sizes", alone, room.board.url, room.board.code, *asked.notebooks)
    idle_cloud = room.prepare()
    recording = room.record()
    idle, working = json.loads(ended(one))
    probe, phases = room.probe(), []
    load.append(os.getloadavg()[0])

    def phase(what: str, do: Callable[[], Any]) -> Any:
        since = time.monotonic()
        done = do()
        phases.append((what, since, time.monotonic()))
        return done
    phase("alone", lambda: time.sleep(ALONE_S))
    ready = room.enter(recording)
    begin(ready)
    worked = phase("among all learners", lambda: room.work(recording, ready))
    phase("alone again", lambda: time.sleep(ALONE_S / 2))
    puts = [tuple(map(float, line.split())) for line in ended(probe).splitlines()]
    load.append(os.getloadavg()[0])
    room.board.kill()
    alone_ms, among_ms = json.loads(ended(start("turns", room.recording, asked.learners, stages.TABLE)))
    before = {(*each,) for *each, at in worked.crowd["answers"] if at < worked.down[0]}
    given = {(*each,) for *each, _ in worked.crowd["answers"]}.union(*(each.answers() for each in room.real))
    kept = room.board.export()

    calls = Counter(to for _, _, to, _ in recording["sent"])
    lines = len({line for _, line, to, _ in recording["sent"] if to == "cloud"})
    print(f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}, class_of_fifty.py, "
          f"notebook {' and '.join(asked.notebooks)}, {asked.real} real learners and {asked.learners - asked.real} "
          f"recorded\n{asked.minutes} minutes by the header are {worked.seconds:.0f} s here: learners think "
          f"{asked.faster:g} times as fast. Each sends {calls['cloud']} requests to the cloud\n({lines} connections) "
          f"and {calls['board']} to the board. Load {load[0]:.1f} first, {load[1]:.1f} before they work, "
          f"{load[2]:.1f} at the end; {time.monotonic() - began:.0f} s in all")
    print(f"{'ms':46}{'count':>8}{'p50':>9}{'p99':>9}{'maximum':>9}{'added':>9}")
    base = math.nan
    for what, since, until in phases:
        took = [ms for due, ms in puts if since <= due < until]
        p99 = at_rank(sorted(took), 0.99)
        print(times(f"a put, {what}", took, "" if base != base else f"{p99 - base:>+9.1f}"))
        base = p99 if base != base else base
    print(times("a put by processor time, alone", alone_ms))
    print(times("a put by processor time, among all learners", among_ms,
                f"{at_rank(sorted(among_ms), 0.99) - at_rank(sorted(alone_ms), 0.99):>+9.1f}"))
    found = worked.crowd["found"]
    asked_of_board = found["report"] + found["clock"] + found["act"]
    print(times("all requests to the board", asked_of_board))
    for what, kind in (("reports", "report"), ("questions for the time", "clock"), ("acts of the instructor", "act")):
        print(times(f"  {what}", found[kind]))
    print(times("from an act until a learner's stream has it", found["stream"]))
    print(times("from drawing until a page has it", found["page"]))
    print(times("recorded calls of the cloud, round trips included", found["cloud"]))
    back = sorted(each - worked.down[1] for each in found["opened"] if each > worked.down[0])
    failed = worked.crowd["failed"]
    print(f"kill -9: the board was down for {worked.down[1] - worked.down[0]:.1f} s; half of the recorded learners "
          f"were back {statistics.median(back or [math.nan]):.1f} s\nlater, all after {max(back or [math.nan]):.1f} s. "
          f"Answers acknowledged before: {len(before)}, in its file then: {len(before & worked.kept)}")
    print(f"answers given: {len(given)}, exported: {len(kept & given)}, lost: {len(given - kept)}; refused requests to "
          f"the board: {failed['refused']}; failed calls of the cloud: {failed['cloud']}; real learners who "
          f"could not finish: {worked.failed}")
    print(f"\n{'a learner on a machine of their own':34}{'MB idle':>9}{'CPU idle':>10}{'MB':>9}"
          f"{'CPU s for the notebook':>26}")
    for kind in dict.fromkeys(KINDS.values()):
        at_rest, busy = idle.get(kind, (math.nan, math.nan)), working.get(kind, (math.nan, math.nan))
        print(f"{kind:34}{at_rest[0]:>9.0f}{at_rest[1]:>10.2%}{busy[0]:>9.0f}{busy[1]:>26.1f}")
    of_kernels = [used.mb for (_, kind), used in worked.used.items() if kind == "kernel"]
    if of_kernels:
        print(f"kernels among all learners: {statistics.median(of_kernels):.0f} MB, at most {max(of_kernels):.0f} MB")
    print("".join(f"\n{what:46}{mb:>8.1f} MB" for what, mb in room.memory.items()).strip())
    print(f"share of a core: the shared cloud {idle_cloud:.1%} idle and {worked.cloud:.1%} with all learners, the "
          f"board {worked.board:.1%}. A page's data: {max(found['page_bytes'], default=0) / 1024:.0f} KiB")
    if given - kept or before - worked.kept:
        raise SystemExit("answers were lost")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learners", type=int, default=50)
    parser.add_argument("--real", type=int, default=10, help="of them, with a kernel")
    parser.add_argument("--faster", type=float, default=6.0, help="how many times faster than planned they think")
    parser.add_argument("--notebooks", nargs="+", default=["03"], metavar="NN")
    parts = {"learner": (learner, 1), "crowd": (replay.play, 1), "probe": (probe, 3), "sizes": (sizes, "+"),
             "turns": (by_processor.measure, 3)}
    for name, (_, count) in parts.items():
        parser.add_argument(f"--{name}", nargs=count, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    for name, (part, _) in parts.items():
        if getattr(asked, name):
            part(*getattr(asked, name))
            return
    asked.minutes = sum(int(re.search(r"\*\*Time\*\* \| (\d+) minutes", notebook.read_text(encoding="utf-8"))[1])
                        for notebook in tour.find_notebooks(asked.notebooks))
    with tempfile.TemporaryDirectory(prefix="gtlab-class-", ignore_cleanup_errors=True) as folder:
        for name in ("owner", "alone"):
            (Path(folder) / name).mkdir()
        os.environ[HOME_VARIABLE] = str(Path(folder) / "owner")
        try:
            scenes(asked, Class(asked, Path(folder)), Path(folder) / "alone")
        finally:
            process.down()


if __name__ == "__main__":
    main()
