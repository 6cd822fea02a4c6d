"""Wait For Approval: keeps the token of the execution that waits for a person's decision on its model."""
