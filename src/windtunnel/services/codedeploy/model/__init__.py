"""CodeDeploy's records, rules and state machines. Pure: no I/O, no clock, no randomness."""
