"""Each class of the contract has its file in the engine, and each file its class."""

from pathlib import Path

import pytest
import torch

import worker.engine
from app.contract.architectures import FAMILIES, Family, Graph, Lstm, Mlp, Resnet, Textcnn, Timm, Transformers
from app.contract.augmentations import AUGMENTATIONS
from app.contract.objectives import TERMS
from app.contract.preprocessing import PREPROCESSINGS
from app.contract.training import OPTIMIZERS
from app.contract.transfer import FORMATS
from tests.engine.texts import TINY_BERT
from worker.engine import build
from worker.engine.data.samples import Inputs, Tokens
from worker.engine.networks import blueprint

ENGINE = Path(worker.engine.__file__).parent
CAPTURED = {
    "input": {"kind": "array", "shape": [4]},
    "tensors": [{"name": "weight", "shape": [3, 4], "start": {"kind": "normal", "std": 1}}],
    "training": {
        "calls": [{"name": "y", "operator": "aten.linear.default", "args": [{"value": "input"}, {"tensor": "weight"}]}],
        "output": "y",
    },
    "classes": 3,
}
NETWORKS: list[tuple[Family, tuple[int, ...]]] = [
    (Lstm(inputs=3, hidden=5, layers=2, classes=4, dropout=0.1), (7, 3)),
    (Lstm(inputs=1, hidden=1, classes=2, dropout=0.5), (1, 1)),
    (Lstm(inputs=3, hidden=5, layers=3, classes=4, bidirectional=True, pooling="mean"), (7, 3)),
    (Lstm(inputs=6, hidden=4, layers=2, classes=2, bidirectional=True, pooling="max", vocabulary=20), (9,)),
    (Lstm(inputs=6, hidden=4, classes=2, vocabulary=3), (1,)),
    (Textcnn(vocabulary=20, embedding=6, filters=4, widths=(2, 5), classes=3), (9,)),
    (Textcnn(vocabulary=20, classes=2), (2,)),
    (Transformers(config=TINY_BERT, classes=3), (5,)),
    (Mlp(inputs=12, hidden=(5, 6), classes=3, dropout=0.2), (3, 4)),
    (Mlp(inputs=2, classes=2), (2,)),
    (Resnet(depth=8, classes=10), (3, 32, 32)),
    (Resnet(depth=14, widths=(3, 5, 5, 6), channels=2, classes=4), (2, 11, 8)),
    (Timm(name="mobilenetv3_small_050", classes=3), (3, 32, 32)),
    (Graph.model_validate(CAPTURED), (4,)),
]
ONLY_THE_NETWORK_KNOWS = (Timm, Transformers)


@pytest.mark.parametrize(
    ("folder", "classes"),
    [
        ("objectives", TERMS),
        ("architectures", FAMILIES),
        ("transfer_sets", FORMATS),
        ("augmentations", AUGMENTATIONS),
        ("preprocessing", PREPROCESSINGS),
    ],
)
def test_classes_and_files_are_the_same_list(folder: str, classes: tuple[type, ...]) -> None:
    files = {path.stem for path in (ENGINE / folder).glob("*.py")} - {"__init__"}
    assert files == {cls.model_fields["kind"].default for cls in classes}  # type: ignore[attr-defined]


def test_every_family_is_tried_below() -> None:
    # What cannot be trained is not built from its description: tests/engine/test_onnx.py.
    assert {type(architecture) for architecture, _ in NETWORKS} == {family for family in FAMILIES if family.trainable}


@pytest.mark.parametrize(("architecture", "shape"), NETWORKS)
def test_networks_are_what_the_contract_says(architecture: Family, shape: tuple[int, ...]) -> None:
    network = build.network(architecture)
    assert blueprint.shapes(architecture) == {name: tuple(held.shape) for name, held in network.state_dict().items()}
    size, flops = blueprint.size(architecture), blueprint.flops(architecture, batch(architecture, shape, 1))
    told = (architecture.size(), architecture.flops(shape))
    known = None if isinstance(architecture, (*ONLY_THE_NETWORK_KNOWS, Graph)) else flops
    assert told == (None if isinstance(architecture, ONLY_THE_NETWORK_KNOWS) else size, known)
    assert size > 0
    assert flops > 0
    assert architecture.refuses_sample(shape) is None
    assert network(batch(architecture, shape, 2)).shape == (2, architecture.classes)


def batch(architecture: Family, shape: tuple[int, ...], samples: int) -> Inputs:
    if architecture.embeds() is None:
        return torch.randn(samples, *shape)
    ids_BL = torch.randint(architecture.embeds(), (samples, *shape))
    return Tokens(ids_BL, torch.ones_like(ids_BL, dtype=torch.bool), torch.full((samples,), shape[0]))


@pytest.mark.parametrize("activation", Mlp.model_fields["activation"].annotation.__args__)  # type: ignore[union-attr]
def test_every_activation_is_there(activation: str) -> None:
    network = build.network(Mlp(inputs=2, hidden=(3,), classes=2, activation=activation))  # type: ignore[arg-type]
    inputs = torch.randn(4, 2)
    hidden = getattr(torch.nn.functional, activation)(network.layers[0](inputs))  # type: ignore[index, union-attr, operator]
    torch.testing.assert_close(network(inputs), network.layers[1](hidden))  # type: ignore[index, union-attr, operator]


def test_an_lstm_looks_at_the_last_step() -> None:
    network = build.network(Lstm(inputs=2, hidden=3, classes=2))
    inputs = torch.randn(1, 4, 2)
    _, (hidden, _) = network.lstm(inputs)  # type: ignore[operator]
    torch.testing.assert_close(network(inputs), network.head(hidden[-1]))  # type: ignore[operator]


@pytest.mark.parametrize("settings", OPTIMIZERS, ids=lambda cls: cls.__name__)
def test_every_optimiser_takes_all_of_its_settings(settings: type) -> None:
    made = settings(weight_decay=0.25)
    optimizer = build.optimizer(made, [torch.nn.Parameter(torch.ones(2))], torch.device("cpu"))
    assert optimizer.param_groups[0]["weight_decay"] == 0.25
    assert optimizer.param_groups[0]["fused"]
