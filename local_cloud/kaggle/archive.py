"""The zip of all files, the same bytes for the same files."""

import io
import zipfile
from pathlib import Path

from local_cloud.kaggle.description import FeedError
from local_cloud.kaggle.feed import Files

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold
_LARGEST_MEGABYTES = 1024  # the zip is made in memory


def zip_files(files: Files) -> bytes:
    """A deflated zip of `files` in the order of their names, with fixed times and permissions.

    Raises FeedError above 1 GB. Another release of zlib may deflate to other bytes; the files in the zip are the same.
    """
    size = sum(len(c) if isinstance(c, bytes) else c.stat().st_size for c in files.values())
    if size > _LARGEST_MEGABYTES * 2**20:
        raise FeedError(
            f"The files have {size >> 20} MB together; more than {_LARGEST_MEGABYTES} MB are not put in a zip here"
        )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever this runs
            entry.external_attr = 0o100644 << 16  # a regular file, readable by all
            archive.writestr(entry, content if isinstance(content, bytes) else Path(content).read_bytes())
    return buffer.getvalue()
