"""The program `test_endpoint`."""

from sagemaker_jobs.runner import main
from sagemaker_jobs.test_endpoint.job import work

if __name__ == "__main__":
    main(work)
