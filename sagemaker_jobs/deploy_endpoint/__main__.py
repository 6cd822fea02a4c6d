"""The program `deploy_endpoint`."""

from sagemaker_jobs.deploy_endpoint.job import work
from sagemaker_jobs.runner import main

if __name__ == "__main__":
    main(work)
