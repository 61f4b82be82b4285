"""The backend ``aws``: who is asking, what is checked before anything is made, and which tables may be touched.

AWS is used only if it is named: ``gtlab.connect(backend="aws")``. No environment variable switches to it.
"""
