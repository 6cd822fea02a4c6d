"""`python -m cli`, and `treering`, which starts this folder from wherever the user stands."""

import gc
import sys
from pathlib import Path

gc.disable()  # until the command is known: what is imported stays, and need not be looked through
if not __package__:  # started as a folder: Python put the folder itself on the path, not the checkout
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from cli.main import main  # noqa: E402  # after the line above
from treering.leaving import leave  # noqa: E402  # likewise

leave(main())
