"""The program `evaluate`."""

from sagemaker_jobs.evaluate.job import work
from sagemaker_jobs.runner import main

if __name__ == "__main__":
    main(work)
