"""`python -m attend`, for launchers that start a module in several processes."""

import sys

from attend.cli import main

sys.exit(main())
