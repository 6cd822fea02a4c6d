"""Training job: prepared splits to a random forest that answers raw rows."""
