"""The fault matrix: every outside system, every way it can be wrong, every job that uses it."""
