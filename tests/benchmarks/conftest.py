"""Keeps pytest, which imports every file for its doctests, out of those that need a framework."""

collect_ignore = ["frameworks"]
