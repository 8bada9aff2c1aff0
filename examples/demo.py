"""`make demo`: from a trained teacher to a small student that was never shown most of the labels.

It starts the whole service on this machine, does what a user would do through the Python client, and stops it again.
    python examples/demo.py [--seed 7] [--keep FOLDER]
`--keep` leaves teacher, transfer set and student in a folder, with the inputs of `quickstart.py` and `spec.yaml`.
"""

import argparse
import hashlib
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import digits as own
import numpy as np
import torch
from safetensors.torch import load_file, save_file

from app.contract.report import Report
from stillhouse import JobHandle, Stillhouse
from stillhouse.commands.results import compared
from stillhouse.embedded import EmbeddedStack

HERE = Path(__file__).parent


def main() -> None:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the end is tidy then, too
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="stillhouse-demo-") as temporary:
        folder = Path(temporary)
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder / "torch"))  # else torch leaves one behind
        digits = make_files(folder, options.seed)
        print("Starting the service: database, broker, API, a worker ...")
        with EmbeddedStack(folder / "service") as stack, Stillhouse(stack.url) as client:
            print(f"It answers at {stack.url}\n")
            job = distil(client, folder, options.seed)
            student = download(job, folder)
            show(job.report, own.accuracy(student, digits))
        if options.keep:
            keep(folder, options.keep)
    print("Stopped the service; nothing is left running.")


def make_files(folder: Path, seed: int) -> own.Digits:
    """Write what the user brings: teacher.safetensors and digits.npz."""
    digits = own.load(seed)
    print("Training a teacher, 64-512-512-10, on scikit-learn's handwritten digits ...")
    teacher = own.train_teacher(digits, seed)
    save_file(teacher.state_dict(), folder / "teacher.safetensors")
    data = own.transfer_set(digits, seed)
    np.savez(folder / "digits.npz", **data)
    known = int((data["labels"][data["split"] == own.TRAIN] != own.NO_LABEL).sum())
    print(f"It reads {own.accuracy(teacher, digits):.1%} of {own.HELD_BACK} held-back images right.")
    print(f"Transfer set: {len(digits.train_labels)} other images, {known} of them with a label.\n")
    return digits


def distil(client: Stillhouse, folder: Path, seed: int) -> JobHandle:
    """Upload both, submit the job, watch it to its end."""
    teacher = client.models.create(
        folder / "teacher.safetensors",
        architecture={"kind": "mlp", "inputs": 64, "hidden": [512, 512], "classes": 10},
        name="digits teacher",
    )
    data = client.datasets.create(folder / "digits.npz", name="digits, 100 labels")
    job = client.jobs.create(
        name="digits",
        teacher=teacher,
        student={"architecture": {"kind": "mlp", "inputs": 64, "hidden": [16], "classes": 10}},
        transfer_set=data,
        objective=[
            {"kind": "soft_target", "weight": 0.9, "temperature": 4},
            {"kind": "hard_target", "weight": 0.1},
        ],
        training={
            "epochs": 30,
            "batch_size": 32,
            "optimizer": {"kind": "adamw", "learning_rate": {"kind": "cosine", "start": 0.01}},
        },
        seed=seed,
    )
    print(f"Submitted {job.id}")
    return job.follow()


def download(job: JobHandle, folder: Path) -> own.Net:
    """Fetch the student, check its hash once more, and load the file into the user's own class."""
    path = job.student.download(folder / "student.safetensors")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != job.student.sha256:
        raise SystemExit(f"{path} has the SHA-256 {found}, not {job.student.sha256}")
    print(f"\nDownloaded {path.name}: {path.stat().st_size:,} bytes, sha256 {found[:16]}… as published\n")
    network = own.Net(64, 16, 10)
    network.load_state_dict(load_file(path), strict=True)
    return network.eval()


def show(report: Report, from_file: float) -> None:
    """Print the report, and the score of the downloaded file beside it."""
    print(compared(report))
    smaller = report.teacher.parameters / report.student.parameters
    print(f"\nThe student is {smaller:.0f} times smaller than its teacher.")
    print(f"Scored here, from the downloaded file: {from_file:.1%}")
    if report.control is not None:
        bought = (report.student.accuracy or 0) - (report.control.accuracy or 0)
        print(f"What the teacher's soft targets bought: {100 * bought:+.1f} points\n")


def keep(folder: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for source in (*folder.glob("*.safetensors"), folder / "digits.npz", HERE / "quickstart.py", HERE / "spec.yaml"):
        shutil.copy(source, target)
    print(f"Kept in {target}: {', '.join(sorted(path.name for path in target.iterdir()))}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Distil a student from scikit-learn's digits.")
    parser.add_argument("--seed", type=int, default=0, help="draws split, labels, teacher and student")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave the files there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
