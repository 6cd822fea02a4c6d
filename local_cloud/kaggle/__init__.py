"""The data source of the local run: a competition's data over Kaggle's HTTP API.

A feed (`RdatasetsFeed`, `FolderFeed`) gives the files as they are at a point of time, a `Catalogue` keeps them as
objects with checksums, `KaggleServer` serves them: the API (credentials, redirects) on one loopback address, the signed
storage (ranges, checksums) on another. Faults can be planned for both. Nothing here knows a column's name or the
application: a `FeedDescription` and the competition's slug come from outside.
"""

from local_cloud.kaggle.competition import Credentials
from local_cloud.kaggle.description import FeedDescription, FeedError
from local_cloud.kaggle.faults import Fault, FaultPlan
from local_cloud.kaggle.feed import Edition, Feed, FolderFeed
from local_cloud.kaggle.rdatasets_feed import RdatasetsFeed
from local_cloud.kaggle.server import KaggleServer

__all__ = [
    "Credentials",
    "Edition",
    "Fault",
    "FaultPlan",
    "Feed",
    "FeedDescription",
    "FeedError",
    "FolderFeed",
    "KaggleServer",
    "RdatasetsFeed",
]
