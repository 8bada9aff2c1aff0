"""The network families: what a user may set, one file each. `worker/engine/architectures/` builds them.

Parameter names are the family's own; a model's `key_map` renames a user's to them.
"""

from typing import Annotated

from pydantic import Field

from app.contract.architectures.family import Family
from app.contract.architectures.graph import Graph
from app.contract.architectures.lstm import Lstm
from app.contract.architectures.mlp import Mlp
from app.contract.architectures.onnx import Onnx
from app.contract.architectures.resnet import Resnet
from app.contract.architectures.textcnn import Textcnn
from app.contract.architectures.timm import Timm
from app.contract.architectures.transformers import Transformers

Architecture = Annotated[
    Graph | Lstm | Mlp | Onnx | Resnet | Textcnn | Timm | Transformers, Field(discriminator="kind")
]
FAMILIES: tuple[type[Family], ...] = (Graph, Lstm, Mlp, Onnx, Resnet, Textcnn, Timm, Transformers)

__all__ = [
    "FAMILIES",
    "Architecture",
    "Family",
    "Graph",
    "Lstm",
    "Mlp",
    "Onnx",
    "Resnet",
    "Textcnn",
    "Timm",
    "Transformers",
]
