"""Captured modules: rebuilt, they do what they did, bit for bit, in training and in evaluation."""

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import stillhouse
from app.contract.architectures import Graph
from app.contract.graphs.tensors import Values
from app.contract.students import FreshWeights, Student, TeacherLayers, unstarted
from stillhouse import NotCaptured
from tests.engine.modules import EXAMPLES, Convolutions, Encoder, batch, captured, rebuilt
from worker.engine import build
from worker.engine.networks import blueprint

pytestmark = pytest.mark.xdist_group("captures")  # each is made once


@pytest.mark.parametrize("name", EXAMPLES)
def test_names_shapes_and_sizes_are_the_modules(name: str) -> None:
    module, capture = captured(name)
    own = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    assert list(blueprint.shapes(capture.architecture).items()) == list(own.items())
    trained = {key: tensor.requires_grad for key, tensor in module.named_parameters()}
    network = build.network(capture.architecture)
    assert {key: tensor.requires_grad for key, tensor in network.named_parameters()} == trained
    size = sum(tensor.numel() for tensor in module.parameters())
    assert capture.architecture.size() == blueprint.size(capture.architecture) == size
    assert blueprint.own_misfit(capture.architecture) is None


@pytest.mark.parametrize("name", EXAMPLES)
def test_outputs_gradients_and_statistics_are_equal_in_training(name: str) -> None:
    module, network = copy.deepcopy(captured(name)[0]).train(), rebuilt(name).train()
    given, inputs = batch(name)
    for step in range(2):
        assert torch.equal(logits(module, given, step), logits(network, (inputs,), step))
    for (key, own), ours in zip(module.named_parameters(), network.parameters(), strict=True):
        assert (own.grad is None and ours.grad is None) or torch.equal(own.grad, ours.grad), key
    for (key, own), ours in zip(module.state_dict().items(), network.state_dict().values(), strict=True):
        assert torch.equal(own, ours), key


@pytest.mark.parametrize("name", EXAMPLES)
def test_outputs_are_equal_in_evaluation_and_nothing_changes(name: str) -> None:
    module, network = copy.deepcopy(captured(name)[0]).eval(), rebuilt(name).eval()
    given, inputs = batch(name)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    # With gradients, or the encoder would take a fused kernel, which rounds otherwise.
    assert torch.equal(logits(module, given, 0), logits(network, (inputs,), 0))
    with torch.inference_mode():
        torch.manual_seed(0)
        own = plain(module(*given))
        torch.manual_seed(0)
        torch.testing.assert_close(network(inputs), own)
    assert all(torch.equal(before[key], tensor) for key, tensor in network.state_dict().items())


def logits(network: nn.Module, given: tuple[object, ...], seed: int) -> Tensor:
    """Return what a network says, after a backward pass through it."""
    torch.manual_seed(seed)
    said = plain(network(*given))
    said.square().sum().backward()
    return said


def plain(answer: object) -> Tensor:
    found = answer["logits"] if isinstance(answer, dict) else answer
    assert isinstance(found, Tensor)
    return found


def test_one_program_does_for_both_modes_unless_the_module_says_otherwise() -> None:
    assert [name for name in EXAMPLES if captured(name)[1].architecture.evaluation] == ["otherwise"]


def test_every_call_knows_its_module() -> None:
    found = {call.operator.split(".")[1]: call.module for call in captured("cnn")[1].architecture.training.calls}
    assert found["conv2d"] == "features.0"
    assert found["linear"] == "head"


def test_a_trained_student_loads_into_the_users_class() -> None:
    network = rebuilt("cnn").train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    _, inputs = batch("cnn")
    for seed in range(3):
        logits(network, (inputs,), seed)
        optimizer.step()
    own = Convolutions()
    assert own.load_state_dict(network.state_dict(), strict=True)
    assert isinstance(inputs, Tensor)
    assert torch.equal(own.eval()(inputs), network.eval()(inputs))


def test_what_lengths_a_network_reads_is_tried_out() -> None:
    taken = {name: captured(name)[1].architecture.input for name in ("lstm", "encoder", "masked")}
    found = {name: (one.shortest, one.longest, one.vocabulary, one.mask) for name, one in taken.items()}  # type: ignore[union-attr]
    assert found == {
        "lstm": (1, None, 120, None), "encoder": (1, 40, 120, None), "masked": (1, None, 30, "bool")
    }  # fmt: skip


class Trigrams(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 4)
        self.convolution = nn.Conv1d(4, 2, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.convolution(self.embedding(ids).transpose(1, 2)).amax(2)


def test_texts_too_short_for_a_network_are_padded() -> None:
    module = Trigrams().eval()
    capture = stillhouse.capture(module, torch.randint(20, (3, 5)), padding=7)
    network = build.network(capture.architecture).eval()
    network.load_state_dict(module.state_dict())
    _, tokens = batch("lstm")
    short = type(tokens)(torch.tensor([[1, 2]]), torch.ones(1, 2, dtype=torch.bool), torch.tensor([2]))  # type: ignore[call-arg, arg-type]
    assert torch.equal(network(short), module(torch.tensor([[1, 2, 7]])))


# ---- first values


def test_fresh_values_are_drawn_as_torch_draws_them() -> None:
    layers = nn.ModuleDict({
        "linear": nn.Linear(60, 40), "conv": nn.Conv2d(6, 8, 3, groups=2), "up": nn.ConvTranspose2d(6, 8, 3),
        "norm": nn.BatchNorm2d(8), "layer": nn.LayerNorm(9), "embedding": nn.Embedding(50, 40, padding_idx=2),
        "lstm": nn.LSTM(30, 20, 2), "gru": nn.GRUCell(30, 20), "prelu": nn.PReLU(5),
        "attention": nn.MultiheadAttention(24, 2, add_bias_kv=True), "bilinear": nn.Bilinear(20, 10, 8),
    })  # fmt: skip
    from stillhouse.captures.written import saved_tensors
    from worker.engine.graphs.values import first_value

    torch.manual_seed(0)
    for tensor, (name, own) in zip(saved_tensors(layers), layers.state_dict().items(), strict=True):
        drawn, mean = first_value(tensor).double(), own.double().mean()
        assert drawn.shape == own.shape, name
        spread = own.double().std(correction=0)
        within = 6 * spread / own.numel() ** 0.5
        assert abs(drawn.mean() - mean) <= within + 1e-9, name
        assert abs(drawn.std(correction=0) - spread) <= within, name
        if "embedding" not in name and "bias_k" not in name and "bias_v" not in name:
            assert drawn.abs().max() <= 1.3 * own.abs().max(), name
        else:
            assert not drawn[2].any() if name == "embedding.weight" else True


def test_fresh_networks_keep_buffers_and_follow_the_seed() -> None:
    architecture = captured("otherwise")[1].architecture
    made = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        made.append(build.network(architecture).state_dict())
    assert torch.equal(made[0]["head.weight"], made[1]["head.weight"])
    assert not torch.equal(made[0]["head.weight"], made[2]["head.weight"])
    assert torch.equal(made[0]["offset"], captured("otherwise")[0].state_dict()["offset"])


def test_a_parameter_that_nobody_knows_how_to_draw_is_named() -> None:
    masked = captured("masked")[1].architecture
    assert masked.undrawn() == ["scale"]
    with pytest.raises(ValueError, match=r"nobody knows how these tensors are drawn anew: scale; start from stored"):
        Student(architecture=masked)
    assert unstarted(masked, TeacherLayers(layers={"scale": "scale"})) is None
    assert unstarted(captured("encoder")[1].architecture, FreshWeights()) is None


def test_positions_without_a_place_in_the_state_dict_travel_with_the_description() -> None:
    capture = captured("encoder")[1]
    constants = [tensor for tensor in capture.architecture.tensors if tensor.role == "constant"]
    assert [tensor.name for tensor in constants] == ["positions"]
    assert isinstance(constants[0].start, Values)
    assert "positions" not in capture.weights
    assert torch.equal(dict(rebuilt("encoder").named_buffers())["positions"], captured("encoder")[0].positions)


# ---- what cannot be captured


class Asks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Identity()
        self.inner.forward = lambda values: torch.linalg.svd(values)[0]

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.fft.fft(self.inner(inputs)).real[:, 0]


class Fixed(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.view(4, 6)


class Several(nn.Module):
    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        return inputs, inputs + 1


class Withholds(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        with torch.no_grad():
            hidden = inputs * 2
        return hidden + inputs


class Branches(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs if inputs.sum() > 0 else -inputs


WRONG = [
    (Asks(), torch.randn(4, 6, 6), r"cannot call these operators: .*svd\S+ \(in inner\), aten\.fft_fft\S+ \(in"),
    (Fixed(), torch.randn(4, 6), "fixes the size of its batches to 4: write inputs.shape\\[0\\]"),
    (Several(), torch.randn(4, 6), "answers with a tuple: name its logits"),
    (Withholds(), torch.randn(4, 6), "cannot call these operators: wrap_with_set_grad_enabled"),
    (Branches(), torch.randn(4, 6), "torch.export cannot follow Branches"),
    (nn.Flatten(0), torch.randn(4, 6), r"logits have the shape \(batch, classes\), and these have \(24,\)"),
    (nn.Linear(6, 3), torch.ones(4, 6, dtype=torch.int32), "the example is torch.int32"),
    (nn.Linear(6, 3).state_dict(), torch.randn(4, 6), "only a torch.nn.Module can be captured, not a OrderedDict"),
]  # fmt: skip


@pytest.mark.parametrize(("module", "example", "text"), WRONG, ids=[text[:20] for _, _, text in WRONG])
def test_what_cannot_be_captured_is_told(module: nn.Module, example: Tensor, text: str) -> None:
    with pytest.raises(NotCaptured, match=text):
        stillhouse.capture(module, example)


def test_one_of_several_answers_can_be_named() -> None:
    found = stillhouse.capture(Several(), torch.randn(4, 6), output=1).architecture
    assert [call.operator for call in found.training.calls] == ["aten.add.Tensor"]


def test_a_capture_is_saved_as_two_files(tmp_path: Path) -> None:
    capture = captured("masked")[1]
    capture.save(tmp_path / "folder")
    text = (tmp_path / "folder" / "architecture.json").read_text()
    assert Graph.model_validate_json(text) == Graph.model_validate(capture.description) == capture.architecture
    assert load_file(tmp_path / "folder" / "weights.safetensors").keys() == capture.weights.keys()


def test_capturing_leaves_the_module_as_it_was() -> None:
    torch.manual_seed(0)
    module = Encoder()
    module.encoder.eval()
    before, state = {name: part.training for name, part in module.named_modules()}, torch.get_rng_state()
    values = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    stillhouse.capture(module, torch.randint(1, 9, (1, 3), generator=torch.Generator().manual_seed(0)))
    assert {name: part.training for name, part in module.named_modules()} == before
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(values[name], tensor) for name, tensor in module.state_dict().items())
    assert torch.backends.mha.get_fastpath_enabled()
