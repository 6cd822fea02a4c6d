"""Starts one of the programs: `python3 -m sagemaker_jobs train`, as `bin/train` does."""

import gc
import runpy
import sys

if __name__ == "__main__":
    # What a program imports stays. Looking through it for garbage, again and again, takes a seventh of a job's start.
    gc.disable()  # until the program's own `main`
    runpy.run_module(f"sagemaker_jobs.{sys.argv.pop(1)}", run_name="__main__", alter_sys=True)
