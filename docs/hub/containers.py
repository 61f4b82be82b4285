"""The same hub with a container for each learner, instead of a system user. It is loaded in place of
jupyterhub_config.py, which it reads first. gtlab's tests load this file, but start no container.

The learners' image is made from the Dockerfile beside this file. Needs: pip install dockerspawner
"""

c = get_config()  # noqa: F821  (JupyterHub defines it)
load_subconfig("jupyterhub_config.py")  # noqa: F821  (JupyterHub defines it, too)

NETWORK = "gtlab"    # docker network create --subnet 172.30.0.0/22 gtlab
HERE = "172.30.0.1"  # this machine's address in that network

c.JupyterHub.bind_url = f"http://{HERE}:8000"
c.JupyterHub.hub_bind_url = f"http://{HERE}:8081"
c.Spawner.environment = {"GTLAB_CLASS": f"http://{HERE}:8000/services/class"}
c.Spawner.cmd = ["gtlab", "lab", "--hub"]  # in the image

c.JupyterHub.spawner_class = "docker"
c.DockerSpawner.image = "gtlab-learner"
c.DockerSpawner.network_name = NETWORK
c.DockerSpawner.remove = True              # the container; what a learner has is in the volume
c.DockerSpawner.volumes = {"gtlab-{username}": "/home/learner"}
c.DockerSpawner.extra_host_config = {"init": True}

# Learners have no account on the machine: each chooses a password at the first login, while you watch. Needs: pip
# install jupyterhub-firstuseauthenticator. For a longer course, use your institution's login (OAuthenticator).
c.JupyterHub.authenticator_class = "firstuseauthenticator.FirstUseAuthenticator"
c.FirstUseAuthenticator.create_users = False
