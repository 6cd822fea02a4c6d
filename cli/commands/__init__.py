"""One module for each command of `treering`."""
