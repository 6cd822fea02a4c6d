"""Container of the endpoint: answers raw rows over HTTP."""
