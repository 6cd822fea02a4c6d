"""Parts of the cloud that are imported when they are first needed, by whichever thread needs them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# One thread imports a package that is slow to load; meanwhile another one asks for a module inside it, from elsewhere.
PROGRAM = """
import sys, threading, time
from importlib.machinery import PathFinder
from pathlib import Path
from local_cloud import emulator

emulator.prepare(Path(sys.argv[1]), 1)
from local_cloud.assembly import Assembly
from local_cloud.services import Services

begun = threading.Event()

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name != "local_cloud.step_functions.definition":
            return None
        spec = PathFinder.find_spec(name, path)
        # the module is locked by now, and not yet to be found among those that are there
        spec.loader.create_module = lambda spec: (begun.set(), time.sleep(2), None)[-1]
        return spec

def make(maker):
    try:
        maker(None)
    except Exception as error:  # without a cloud around it, nothing more than the import succeeds
        print(maker.__name__, type(error).__name__)

sys.meta_path.insert(0, Slow())
threads = [threading.Thread(target=make, args=[Services._make_step_functions])]
threads[0].start()
assert begun.wait(30)
threads.append(threading.Thread(target=make, args=[Assembly._make_cloudformation]))
threads[1].start()
for thread in threads:
    thread.join()
"""


def test_two_threads_may_import_parts_that_import_each_other(tmp_path: Path) -> None:
    """As at a start, when the first request comes while the rest still loads: neither hears of a deadlock."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    assert sorted(done.stdout.split()[::2]) == ["_make_cloudformation", "_make_step_functions"]
    assert "_DeadlockError" not in done.stdout
