"""The program `tune`."""

from sagemaker_jobs.runner import main
from sagemaker_jobs.tune.job import work

if __name__ == "__main__":
    main(work)
