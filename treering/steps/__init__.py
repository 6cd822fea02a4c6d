"""The steps of the weekly run, free of AWS and of frameworks: what they need from outside is passed in."""
