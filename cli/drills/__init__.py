"""Drills: something goes wrong in a local cloud on purpose; what follows is compared with what should follow."""
