"""Lambda entry points, a folder each: parse the event, make one call, return."""
