"""Base of pydantic models that are built when they are first used.

A program imports all contracts and uses a few: building the others took a tenth of a function's cold start.
"""

import threading
from typing import Any

from pydantic import BaseModel, ConfigDict

_BUILDING = threading.RLock()


class DeferredModel(BaseModel):
    """Immutable, and built at the first use (pydantic's `defer_build`), in whichever thread that is."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    @classmethod
    def model_rebuild(cls, **settings: Any) -> bool | None:
        """As pydantic's, which several threads may not do at once (pydantic issue 13419)."""
        with _BUILDING:
            return super().model_rebuild(**settings)
