"""`python -m cli`, and `treering`, which starts this folder from wherever the user stands."""

import sys
from pathlib import Path

if not __package__:  # started as a folder: Python put the folder itself on the path, not the checkout
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from cli.main import main

sys.exit(main())
