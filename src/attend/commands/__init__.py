"""The verbs of the command line, one a file: its `Options`, and what it does with them."""
