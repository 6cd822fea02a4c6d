"""The program `preprocess`."""

from sagemaker_jobs.preprocess.job import work
from sagemaker_jobs.runner import main

if __name__ == "__main__":
    main(work)
