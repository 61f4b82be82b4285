"""Global tables: membership, both versions of the API, settings, strong consistency, pauses of replication.

May import: the model, the engine, the world, replication, tables and the journal.
"""
