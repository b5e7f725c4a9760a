"""Comparisons of two dictionaries: their figures, and the file that keeps them beside a run.

engine.comparison computes them.
"""
