"""botocore's descriptions of AWS's services, read once for all clients: each session would read them for itself.

SageMaker's alone takes a tenth of a second, and stays in memory.
"""

import os

import botocore.session
from botocore.loaders import Loader

LOADER = Loader()


def session() -> botocore.session.Session:
    """Make a session in which the user's own profile and configuration file have no say."""
    made = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
    )
    made.register_component("data_loader", LOADER)
    return made
