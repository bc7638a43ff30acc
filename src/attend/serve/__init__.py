"""A web page and an HTTP API over trained models, on your own machine: `attend serve RUN ...`.

Only the built page in `static/` is needed without the extra `attend[serve]`.
"""
