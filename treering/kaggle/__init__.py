"""Client of Kaggle's HTTP API: the download of a competition's files, and nothing else.

The official `kaggle` package does not fit a Lambda function: versions up to 1.6.17 open a multiprocessing pool, which
needs a semaphore that Lambda does not have; later ones write to the home folder at import and may call `exit`.
"""

from treering.kaggle.client import Download, KaggleClient
from treering.kaggle.credentials import Credentials

__all__ = ["Credentials", "Download", "KaggleClient"]
