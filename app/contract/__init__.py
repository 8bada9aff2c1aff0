"""The words that client, service and engine share: plain pydantic data, no I/O, no framework."""
