"""What a job publishes beside the weights and the report, as far as a user may choose."""

from app.contract.base import Contract


class Exports(Contract):
    """A finished job's further files."""

    plots: bool = True
    """Loss, accuracy and agreement over time, reliability diagrams, confusion matrices: as PNG and SVG. Their data is
    in the report either way."""
    onnx: bool = False
    """Also as ONNX, `student.onnx`: takes prepared samples in batches of any size (`input`; of texts `ids` and `mask`,
    of any length), held against torch on real samples. The worker needs `stillhouse[onnx]`; it takes some seconds."""
