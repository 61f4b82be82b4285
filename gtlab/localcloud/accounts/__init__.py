"""Accounts: the identity-based policy of each, and whether it allows a call.

May import: the model, the engine.
"""
