"""Makes things go wrong, in a local cloud with the whole application in it, and checks what became of it."""
