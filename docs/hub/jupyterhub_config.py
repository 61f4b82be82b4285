"""JupyterHub for a class of gtlab on one Linux machine. README.md, beside this file, explains it.

Every learner is a system user of the machine. gtlab's tests run this file with JupyterHub's simple spawner in the place
of the systemd one.
"""

import sys
from pathlib import Path

c = get_config()  # noqa: F821  (JupyterHub defines it)

# What you change
INSTRUCTORS = {"teacher"}          # admins of the hub: they open the board, and stop the servers of others
LEARNERS = {"ana", "bo"}           # nobody else is let in
CLASS = "Global tables"            # the name on the board
ADDRESS = "http://127.0.0.1:8000"  # of the hub on this machine; a proxy with HTTPS stands before it
CLASS_FOLDER = "/var/lib/gtlab-class"  # what the board keeps; it belongs to the system user gtlab-class

GTLAB = str(Path(sys.executable).parent / "gtlab")  # in the environment that JupyterHub itself runs in
CLASS_ACCESS = "access:services!service=class"

c.JupyterHub.bind_url = ADDRESS
c.Authenticator.admin_users = INSTRUCTORS
c.Authenticator.allowed_users = LEARNERS

# A learner's server: a working copy of the course in the folder gtlab-course, and a local cloud that ends with the
# server, however that ends. The local cloud requires a token, so that no other user of the machine reaches it.
c.Spawner.cmd = [GTLAB, "lab", "--hub"]
c.Spawner.environment = {"GTLAB_CLASS": f"{ADDRESS}/services/class"}
c.Spawner.start_timeout = 120   # seconds; when a class starts at the same moment, each server has to wait
c.Spawner.http_timeout = 120
c.Spawner.mem_limit = "2G"      # for a learner with three open notebooks; a kernel that takes more is ended
c.Spawner.cpu_limit = 2.0       # cores

# The board of the class, at /services/class. Users of the hub join it with their server's token.
c.JupyterHub.services = [{
    "name": "class",
    "url": "http://127.0.0.1:8820",
    "command": [GTLAB, "class", "hub", "--name", CLASS],
    "environment": {"GTLAB_HOME": CLASS_FOLDER},
    "user": "gtlab-class",
    "oauth_no_confirm": True,   # it learns a user's name and nothing else
}]
c.JupyterHub.load_roles = [{"name": "user", "scopes": ["self", CLASS_ACCESS]}]
c.Spawner.server_token_scopes = ["users:activity!user", "access:servers!server", CLASS_ACCESS]

# What keeps learners apart: each server runs as its own system user, in a systemd unit of its own. The default
# authenticator asks for the user's password on this machine (PAM).
c.JupyterHub.spawner_class = "systemd"
c.SystemdSpawner.isolate_tmp = True
c.SystemdSpawner.isolate_devices = True
c.SystemdSpawner.disable_user_sudo = True
