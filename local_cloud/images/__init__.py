"""Container images without a container engine: a Dockerfile is read, checked and turned into folders to mount.

- ``dockerfile``: text → instructions, with variables as Docker expands them
- ``bases``: what is known of the base images
- ``context``: what of the build context an image may hold (``.dockerignore``), and how it is copied
- ``requirements``: the pinned packages of a ``pip install -r``, checked against the running interpreter's
- ``python_environment``: a Python with these packages and no others
- ``pip_install``: which files a RUN installs
- ``build``: the instructions, one after the other → an image
- ``registry``: images by URI, as ECR holds them
"""

from local_cloud.images.errors import ImageError, ImageNotFoundError
from local_cloud.images.registry import ImageRegistry
from local_cloud.images.spec import ImageSpec

__all__ = ["ImageError", "ImageNotFoundError", "ImageRegistry", "ImageSpec"]
