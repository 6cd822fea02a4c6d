"""CloudFormation: what a template may say here, and the provisioners that make it take effect.

- ``supported``: the table of resource types and properties
- ``checks``: holds a template against the table before anything is created
- ``provisioners``: the emulator's provisioners, with what they leave out
- ``state_machine``: ``AWS::StepFunctions::StateMachine`` on the local engine
"""
