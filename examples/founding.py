"""The founding example: an LSTM distilled into a smaller one of the same class, on four sequences.

It comes from a blog post that teaches distillation in a few lines of PyTorch. The post hands raw logits to
`KLDivLoss`; here both sides are softened distributions, as in Hinton, Vinyals and Dean (2015).
Needs a service that runs already (`stillhouse serve`); STILLHOUSE_URL says where.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from stillhouse import Stillhouse

KEY_MAP = {"layer1": "lstm", "layer2": "head"}
"""The user's names of the parts -> the service's."""


class Net(nn.Module):
    """The user's class: LSTM, then a linear layer on the last step."""

    def __init__(self, hidden: int, inputs: int = 2, layers: int = 4, classes: int = 4) -> None:
        super().__init__()
        self.layer1 = nn.LSTM(inputs, hidden, layers, batch_first=True)
        self.layer2 = nn.Linear(hidden, classes)

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """Return the logits, (batch, classes), of sequences of shape (batch, steps, inputs)."""
        outputs, _ = self.layer1(sequences)
        return self.layer2(outputs[:, -1])


def architecture(hidden: int) -> dict[str, object]:
    return {"kind": "lstm", "inputs": 2, "hidden": hidden, "layers": 4, "classes": 4}


def main() -> None:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder, Stillhouse() as client:
        weights = Path(folder, "teacher.pt")
        torch.save(Net(hidden=16).state_dict(), weights)
        teacher = client.models.create(weights, architecture=architecture(16), key_map=KEY_MAP)
        sequences = np.random.default_rng(0).standard_normal((4, 6, 2)).astype(np.float32)
        data = client.datasets.create(
            {"inputs": sequences, "labels": np.array([0, 1, 0, 0])}, splits={"validation": 0, "test": 0}
        )
        job = client.jobs.create(
            teacher=teacher,
            student={"architecture": architecture(8)},  # its names: the teacher's, the families being the same
            transfer_set=data,
            objective=[{"kind": "soft_target", "weight": 0.9}, {"kind": "hard_target", "weight": 0.1}],
            training={
                "epochs": 10,
                "batch_size": 2,
                "shuffle": False,
                "optimizer": {"kind": "sgd", "learning_rate": 0.1, "momentum": 0.9},
            },
        ).follow()
        student = Net(hidden=8)
        student.load_state_dict(load_file(job.student.download(folder)), strict=True)
    print(f"The student's classes: {student(torch.from_numpy(sequences)).argmax(dim=1).tolist()}")


if __name__ == "__main__":
    main()
