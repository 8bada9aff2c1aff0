"""How a student's features are brought to the shape of its teacher's."""

from typing import Literal

AdapterKind = Literal["auto", "none", "linear", "normalized", "mlp"]
"""`linear`: a linear map of the channels (a 1 x 1 convolution of maps); `normalized`: one without bias, batch norm and
ReLU (maps only); `mlp`: two linear maps with ReLU between; `auto`: linear where the channels differ, else none.
Rows and columns of maps are averaged or interpolated to the teacher's."""
