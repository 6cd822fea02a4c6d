"""The command `treering`: runs the application on one machine, shows what it does, and asks it for predictions."""
