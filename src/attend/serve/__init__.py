"""A page and an interface over trained models, on one's own machine: `attend serve RUN ...`.

Only the built page in `static/` is needed without the extra `attend[serve]`.
"""
