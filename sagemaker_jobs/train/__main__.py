"""The program `train`."""

from sagemaker_jobs.runner import main
from sagemaker_jobs.train.job import work

if __name__ == "__main__":
    main(work)
