"""Attention-based models: train them on your own data, and look where they look.

import attend
model = attend.load("runs/demo")
prediction = model.predict("Samstag, 3. Mai 2008")
print(prediction.text, prediction)      # the output, and where the model looked
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attend.run import load

__version__ = "0.1.0"
__all__ = ["load"]


def __getattr__(name: str) -> Any:
    # The command line must start without torch; `attend.load` brings it in.
    if name == "load":
        from attend.run import load

        return load
    raise AttributeError(f"module 'attend' has no attribute {name!r}")
