"""Attention-based models: train them on your own data, and see what they attend to.

import attend
model = attend.load("runs/demo")
prediction = model.predict("Samstag, 3. Mai 2008")
print(prediction.text, prediction)      # the output, and where the model looked
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attend.api import load, train

__version__ = "0.2.0"
__all__ = ["load", "train"]


def __getattr__(name: str) -> Any:
    # The command line must start without torch; these bring it in.
    if name in __all__:
        from attend import api

        return getattr(api, name)
    raise AttributeError(f"module 'attend' has no attribute {name!r}")
