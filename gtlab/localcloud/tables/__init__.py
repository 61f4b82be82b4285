"""A Region's tables over time: statuses, streams, capacity, auto scaling.

May import: the model, the engine, the world and observe.
"""
