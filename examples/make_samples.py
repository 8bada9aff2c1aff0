"""Makes the sample files that the service shows in Swagger UI: irises and a teacher of them (scikit-learn, torch)."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from sklearn.datasets import load_iris
from torch import nn

FOLDER = Path(__file__).parents[1] / "app" / "samples"


def main() -> None:
    torch.manual_seed(0)
    irises = load_iris()
    inputs = torch.tensor(irises.data, dtype=torch.float32)
    inputs = (inputs - inputs.mean(0)) / inputs.std(0)
    labels = torch.tensor(irises.target)
    order = torch.randperm(len(labels))
    held_back, training = order[:50], order[50:]
    teacher = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.AdamW(teacher.parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(teacher(inputs[training]), labels[training])
        loss.backward()
        optimizer.step()
    save_file(teacher.state_dict(), FOLDER / "teacher.safetensors")
    # The teacher saw 100 labels; the transfer set shows 9 of them, and those of the 50 held back for the report.
    split = torch.zeros_like(labels)
    split[held_back] = 2
    labels[training[9:]] = -1
    save_file({"inputs": inputs, "labels": labels, "split": split}, FOLDER / "transfer_set.safetensors")


if __name__ == "__main__":
    main()
