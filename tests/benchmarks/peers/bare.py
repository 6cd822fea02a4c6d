"""Starts the bare server: `bare.py <library> <folder of the model> <port> <threads>`."""

import ctypes
import sys
from pathlib import Path

from treering.steps.artefact import Artefact

library, folder, port, threads = sys.argv[1:]
model = Artefact.load(Path(folder)).compiled
ctypes.CDLL(library).serve(ctypes.c_void_p(model.address), int(port), int(threads))
