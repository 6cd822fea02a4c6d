"""Create Run ID: the name under which everything of one execution is found."""
