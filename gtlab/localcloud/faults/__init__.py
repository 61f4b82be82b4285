"""AWS Fault Injection Service, as far as it concerns global tables.

May import: everything that global tables may, and global tables.
"""
