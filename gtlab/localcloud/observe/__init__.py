"""What can be observed: the journal, and CloudWatch's ReplicationLatency.

May import: the model and replication's types.
"""
