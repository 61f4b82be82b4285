"""Judges of histories: whether one is linearizable. Pure. Imports the standard library only, so that both halves of
gtlab may use it.
"""
