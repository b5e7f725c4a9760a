"""Strings and numbers as they are shown: pure helpers for the terminal app and for the commands that print."""
