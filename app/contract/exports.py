"""What a job publishes beside the weights and the report, as far as a user may choose."""

from app.contract.base import Contract


class Exports(Contract):
    """A finished job's further files."""

    plots: bool = True
    """Loss, accuracy and agreement over time, reliability diagrams, confusion matrices: as PNG and SVG. Their data is
    in the report either way."""
