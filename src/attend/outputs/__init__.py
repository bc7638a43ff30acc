"""Kinds of answer, one a file: how a system is asked for them, what comes of that, and how good it is."""
