"""What a learner takes on a hub: memory and processor time, with the configuration of docs/hub.

    .venv/bin/python docs/hub/sizes.py [LEARNERS [NOTEBOOK]]

It starts the hub as the tests do (tests/hubs.py), all learners' servers at once, has everybody join the class, and then
runs a notebook in each learner's JupyterLab, through the proxy, as a browser does. Memory is PSS: pages that several
processes share are divided among them. Linux only.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
import hubs

REST_S = 20  # how long learners rest while their processor time is measured
_TICK = os.sysconf("SC_CLK_TCK")
_KINDS = {"jupyterhub.singleuser": "server", "gtlab.localcloud": "local cloud", "gtlab.classroom.agent": "class",
          "ipykernel_launcher": "kernel", "read -r nothing": "watcher", "class hub": "board", "/jupyterhub ": "hub",
          "jupyterhub --config": "hub", "configurable-http-proxy": "proxy"}


def processes(hub: hubs.Hub) -> dict[int, tuple[str, str]]:
    """The hub's processes: ID to owner ("" if not a learner's) and kind."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_text().replace("\0", " ")
            environment = (folder / "environ").read_text()
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if str(hub.home) not in environment + command and parent != hub.process.pid:
            continue
        home = environment.partition(f"HOME={hub.home}/users/")[2].partition("\0")[0]
        kind = next((kind for part, kind in _KINDS.items() if part in command), "other")
        found[int(folder.name)] = (home, kind)
    return found


def pss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def processor_s(pid: int) -> float:
    """With that of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICK


def sizes(hub: hubs.Hub) -> tuple[Counter[str], Counter[str]]:
    """Memory in MB and processor time in s of all processes, by "learners: kind" or kind."""
    memory, processor = Counter[str](), Counter[str]()
    for pid, (owner, kind) in processes(hub).items():
        name = f"learners: {kind}" if owner else kind
        try:
            memory[name] += pss_mb(pid)
            processor[name] += processor_s(pid)
        except (OSError, StopIteration):
            continue
    return memory, processor


async def work(hub: hubs.Hub, user: str, path: Path) -> int:
    """Run a notebook's cells in a kernel of the learner's server. Returns how many had an error."""
    session = await asyncio.to_thread(hub.ask, "POST", f"user/{user}/api/sessions", {
        "name": path.name, "path": path.name, "type": "notebook", "kernel": {"name": "python3"}})
    socket = await websocket_connect(HTTPRequest(
        f"{hub.url}/user/{user}/api/kernels/{session['kernel']['id']}/channels".replace("http:", "ws:"),
        headers={"Authorization": f"token {hub.token}"}), max_message_size=2**28)
    errors = 0
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] != "code":
            continue
        id = uuid.uuid4().hex
        await socket.write_message(json.dumps({
            "channel": "shell", "parent_header": {}, "metadata": {"cellId": cell["id"]}, "buffers": [],
            "header": {"msg_id": id, "msg_type": "execute_request", "username": user, "session": id, "version": "5.3"},
            "content": {"code": "".join(cell["source"]), "silent": False, "store_history": True, "allow_stdin": False,
                        "user_expressions": {}, "stop_on_error": True}}))
        while True:
            said = await socket.read_message()
            message = json.loads(said) if isinstance(said, str) else {}
            if message.get("parent_header", {}).get("msg_id") == id and message["msg_type"] == "execute_reply":
                errors += message["content"]["status"] != "ok"
                break
    socket.close()
    return errors


def show(title: str, memory: Counter[str], processor: Counter[str], learners: int, per: str) -> None:
    print(f"\n{title}\n{'':24}{'MB':>8}{per:>12}")
    for name in sorted(memory, key=lambda name: (not name.startswith("learners"), -memory[name])):
        share = learners if name.startswith("learners") else 1
        print(f"{name.replace('learners', 'per learner'):24}{memory[name] / share:8.0f}{processor[name] / share:12.2f}")
    total = [sum(value for name, value in each.items() if name.startswith("learners")) / learners
             for each in (memory, processor)]
    print(f"{'per learner':24}{total[0]:8.0f}{total[1]:12.2f}", flush=True)


def main(learners: int = 4, notebook: str = "03") -> None:
    if why := hubs.missing():
        sys.exit(why)
    users = tuple(f"learner{number:02}" for number in range(1, learners + 1))
    with tempfile.TemporaryDirectory(prefix="gtlab-hub-") as folder:
        with hubs.running_hub(Path(folder).resolve(), users) as hub:
            began = time.monotonic()
            pids = hub.start(*users)
            print(f"{learners} servers at once were ready after {time.monotonic() - began:.0f} s")
            memory, processor = sizes(hub)
            show("Started", memory, processor, learners, "CPU s")
            with ThreadPoolExecutor(4) as pool:
                for done in pool.map(lambda user: hub.run(pids[user], "class", "join", "hub", "--yes"), users):
                    assert done.returncode == 0, done.stderr
            time.sleep(REST_S)
            _, before = sizes(hub)
            time.sleep(REST_S)
            memory, after = sizes(hub)
            show(f"Idle in the class, {REST_S} s", memory, Counter({
                name: (after[name] - before[name]) / REST_S * 100 for name in after}), learners, "% of a core")
            (path,) = (hub.home / "users" / users[0] / "gtlab-course").glob(f"{notebook}_*.ipynb")

            async def all_work() -> list[int]:
                return await asyncio.gather(*(work(hub, user, path) for user in users))

            _, before = sizes(hub)
            began = time.monotonic()
            errors = asyncio.run(all_work())
            memory, after = sizes(hub)
            show(f"Notebook {notebook} was run by everybody in {time.monotonic() - began:.0f} s "
                 f"({sum(errors)} cells with errors)", memory, after - before, learners, "CPU s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), *sys.argv[2:3])
