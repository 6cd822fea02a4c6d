"""IAM's policy language: how conditions and patterns are read, what of a policy is evaluated, what AWS allows to name.

Pure: knows nothing of a running cloud, so that a template can be looked at before there is one.
"""
