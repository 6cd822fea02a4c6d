"""The local cloud: runs a SAM template on one machine, with no AWS account and no container engine.

It sees an application as a template, a state machine definition, Dockerfiles and the programs they start;
it imports none of the application's code.
"""
