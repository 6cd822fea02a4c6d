"""Compiles the C files to one shared library, which knows nothing of Python and is called through ctypes.

The compiler is a package as well (ziglang, which holds clang): every machine and image compiles with the same one, and
none needs one of its own. pip fetches it for the build and removes it afterwards.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FLAGS = [
    "-mcpu=baseline",  # of this architecture; without it, the library may run on this very processor only
    "-std=c11",
    "-O3",
    "-shared",
    "-nostdlib",  # the compiler's own helpers, which take six seconds to compile, and of which nothing here is needed
    "-Wl,-z,defs",  # else the linker would not miss them
    "-fPIC",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
    "-Werror",
    # a * b + c in one rounding would give other predictions than scikit-learn's, and other ones on other processors
    "-ffp-contract=off",
    # the walk goes down several trees or rows at once; as vectors, it takes twice as long
    "-fno-tree-vectorize",
    "-fno-tree-slp-vectorize",
]


class Compile(build_ext):
    """One call of the compiler; setuptools' own flags are those of whoever compiled Python."""

    def build_extension(self, ext: Extension) -> None:
        """Compile and link."""
        library = Path(self.get_ext_fullpath(ext.name))
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as cache:
            compiler = [sys.executable, "-m", "ziglang", "cc"]
            environ = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
            subprocess.run(
                [*compiler, *FLAGS, *ext.sources, "-o", str(library), "-lm", "-lpthread"], check=True, env=environ
            )

    def get_ext_filename(self, fullname: str) -> str:
        """The same name for every Python, as the library is."""
        return f"{fullname.replace('.', '/')}.so"


WORK = tempfile.TemporaryDirectory()  # the sources stay as they are

setup(
    options={"build": {"build_base": WORK.name}, "egg_info": {"egg_base": WORK.name}},
    cmdclass={"build_ext": Compile},
    ext_modules=[
        Extension(
            "treering_native.library",
            sources=[f"treering_native/{name}.c" for name in ("forest", "table", "row", "csv", "json", "predict")],
            depends=["treering_native/native.h", "treering_native/reader.h"],
        )
    ],
)
