"""The deployment agent of an instance, in parts: what an appspec says, bundles, installing, hooks, and the memory of commands.

Behaviour, messages and the layout on disk are those of AWS's own agent (codedeploy-agent 1.8), so that what a person learned there
holds here. Standard library only, but for PyYAML, which every image has.
"""
