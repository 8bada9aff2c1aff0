"""How a student's features are brought to the shape of its teacher's."""

from typing import Literal

from app.contract.taps import Tap

AdapterKind = Literal["auto", "none", "linear", "normalized", "connector", "mlp"]
"""`linear`: a linear map of the channels (a 1 x 1 convolution of maps); `connector`: one without bias, and batch norm;
`normalized`: the same and ReLU; `mlp`: two linear maps with ReLU between; `auto`: linear where the channels differ,
else none. Rows and columns of maps are averaged or interpolated to the teacher's."""
_OF_A_BATCH = {"normalized", "connector"}


def refuses(kind: AdapterKind, teacher: Tap, student: Tap) -> str | None:
    """Return why an adapter cannot bring the student's tap to the teacher's, or None."""
    if kind == "none" and teacher.channels != student.channels:
        return (
            f"'{student.name}' has {student.channels} channels and '{teacher.name}' {teacher.channels}, "
            "which takes an adapter"
        )
    if kind in _OF_A_BATCH and teacher.layout == "tokens":
        return f"an adapter with batch norm takes maps and vectors, and '{teacher.name}' holds tokens"
    return None
