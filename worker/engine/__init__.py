"""The distillation engine: a library that knows torch and the contract, and runs a job's directory with no server."""
