"""Resume Approval: tells the waiting execution what was decided in the model registry."""
