"""The server: the process, connections and their limits, access, a request made a call, and the control API.

May import: everything below the wall except :mod:`gtlab.localcloud.proof`.
"""
