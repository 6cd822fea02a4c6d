"""Real containers in place of the local cloud's sandboxes: the same Dockerfiles, built and run by Docker or Podman.

- ``engine``: which engine this machine has, and how it is asked
- ``podman``: settings that let root's Podman work without touching the machine's own
- ``pip_settings``: what this machine's pip is set up with, for the pip of a build
- ``bases``: base images, pulled, or made of Debian's packages where no registry of images can be reached
- ``images``: builds an image and notes it where the local cloud looks for images
- ``container``: one program in one container
- ``keeper``: removes a cloud's containers once the cloud has ended, however it ended

Containers share the machine's network, as the local cloud answers on its loopback address alone.
"""
