"""Kinds of input, one a file: what a value is read from, how it becomes numbers, and what its cells are called."""
