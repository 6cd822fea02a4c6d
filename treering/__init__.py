"""What functions and jobs share: contracts, object keys, names, errors, use cases, the steps and the AWS adapters."""
