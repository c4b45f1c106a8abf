"""Whole ways in one command: from two folders to a student, the demo, a paper's table, checks."""
