"""`python -m cli`, and `treering`, which starts this folder from wherever the user stands."""

import gc
import sys
from pathlib import Path

gc.disable()  # until the command is known: what is imported stays, and need not be looked through
if not __package__:  # started as a folder: Python put the folder itself on the path, not the checkout
    sys.path[0] = str(Path(__file__).resolve().parents[1])

if "teardown" not in sys.argv:  # which may sign in to a user's own account
    # botocore takes these where other packages brought them along: a sixth of the time until a command begins, for
    # encryption that no request to the local cloud needs
    for unneeded in ("awscrt", "urllib3.contrib.pyopenssl"):
        sys.modules[unneeded] = None  # type: ignore[assignment]  # as the import system reads it: there is no such module

from cli.main import main  # noqa: E402  # after the line above
from treering.leaving import leave  # noqa: E402  # likewise

leave(main())
