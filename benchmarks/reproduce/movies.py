"""Tang et al. 2019 in small: a BERT fine-tuned on rated movie sentences teaches a one-layer BiLSTM.

    python -m benchmarks.reproduce.movies [--teacher-epochs 2] [--epochs 6] [--views 3] [--seeds 2] [--draw]

Three ways to train the same student: labels alone; the teacher's logits (MSE); the logits of augmented sentences too.
"""

import argparse
from typing import Any

import numpy as np
import torch

from app.contract.report import Report, Scores
from benchmarks.reproduce import material, movies_teacher, results, service
from benchmarks.reproduce.movies_figure import draw
from stillhouse import Stillhouse

HELD_BACK = {"validation": 568, "test": 2_000}
TRAIN, VALIDATION, TEST = 0, 1, 2
"""The service's numbers for the parts of a set."""
PAPER = {"teacher": 94.9, "labels": 86.7, "logits_augmented": 90.7}
"""SST-2 test accuracy in percent: BERT-large; BiLSTM on labels; BiLSTM distilled with augmentation."""
NAMES = {
    "teacher": "teacher",
    "labels": "BiLSTM, labels alone",
    "logits": "BiLSTM, logits",
    "logits_augmented": "BiLSTM, logits, augmented",
}
AUGMENTATION = [
    {"kind": "mask", "probability": 0.1},
    {"kind": "same_part_of_speech", "probability": 0.1 / 0.9},  # of the words that are not masked: 0.1 of all
    {"kind": "ngram", "probability": 0.25},
]
"""With the paper's numbers."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=8_000, help="to train on; the whole set has 8,000")
    parser.add_argument("--teacher-epochs", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=6, help="of each student; the best by validation is kept")
    parser.add_argument("--views", type=int, default=3, help="augmented looks at each sentence")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--draw", action="store_true", help="only draw what was measured before")
    options = parser.parse_args()
    found = results.read("movies") if options.draw else measure(options)
    draw(found, PAPER, NAMES)
    print(table(found))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Fine-tune the teacher, run two jobs a seed; return the results as written."""
    body, columns = material.minilm(), parts(material.movie_sentences(), options.sentences)
    own = [row for row, part in enumerate(columns["split"]) if part == TRAIN]
    labels = torch.tensor([columns["label"][row] for row in own])
    weights = movies_teacher.trained(body, [columns["text"][row] for row in own], labels, options.teacher_epochs)
    runs = []
    with service.running() as client:
        teacher = client.models.create(
            weights,
            architecture={"kind": "transformers", "config": movies_teacher.config(body), "classes": 2},
            preprocessing={
                "kind": "tokenizer",
                "content": body.tokenizer,
                "max_tokens": movies_teacher.MAX_TOKENS,
            },
        ).id
        transfer_set = client.datasets.create(columns).id
        for seed in range(options.seeds):
            plain = distil(client, teacher, transfer_set, options, seed)
            augmented = distil(client, teacher, transfer_set, options, seed, augmented=True)
            runs.append({
                "labels": scores(plain.control),
                "logits": scores(plain.student),
                "logits_augmented": scores(augmented.student),
            })  # fmt: skip
    content = {
        "sentences": len(own),
        "epochs": {"teacher": options.teacher_epochs, "students": options.epochs},
        "views": options.views,
        "teacher": scores(plain.teacher),
        "parameters": {"teacher": plain.teacher.parameters, "student": plain.student.parameters},
        "latency_ms": {"teacher": plain.teacher.latency_ms, "student": plain.student.latency_ms},
        "runs": runs,
    }
    return results.write("movies", plain, content)


def parts(found: material.Sentences, sentences: int) -> dict[str, list[Any]]:
    """Return the transfer set's columns: text, label, split; the order is drawn once."""
    order = np.random.default_rng(0).permutation(len(found.texts))
    sizes = [*HELD_BACK.values(), min(sentences, len(order) - sum(HELD_BACK.values()))]
    split = np.repeat([VALIDATION, TEST, TRAIN], sizes)
    rows = order[: len(split)]
    return {"text": [found.texts[row] for row in rows], "label": found.labels[rows].tolist(), "split": split.tolist()}


def distil(
    client: Stillhouse,
    teacher: str,
    transfer_set: str,
    options: argparse.Namespace,
    seed: int,
    *,
    augmented: bool = False,
) -> Report:
    """Train the student on logits; without augmentation its control learns the labels alone."""
    job = client.jobs.create(
        name=f"{'augmented, ' if augmented else ''}seed {seed}",
        teacher=teacher,
        student=STUDENT,
        transfer_set=transfer_set,
        objective=[{"kind": "logit_mse"}],
        augmentation=AUGMENTATION if augmented else None,
        views={"kind": "fixed", "count": options.views} if augmented else None,
        training={
            "epochs": options.epochs,
            "batch_size": 50,
            "optimizer": {"kind": "adamw", "learning_rate": {"kind": "cosine", "start": 1e-3}, "weight_decay": 0},
            "early_stopping": {"monitor": "accuracy", "patience": options.epochs},
        },
        control=not augmented,
        seed=seed,
    )
    return service.finished(job).report


STUDENT = {
    "architecture": {
        "kind": "lstm",
        "inputs": 384,
        "hidden": 150,
        "bidirectional": True,
        "dropout": 0.3,
        "vocabulary": 30_522,
        "classes": 2,
    },
    "initial": {"kind": "teacher_layers", "layers": {"embedding": "bert.embeddings.word_embeddings"}},
}
"""The paper's width; it starts from the teacher's word vectors, as the paper's from word2vec's."""


def scores(found: Scores | None) -> dict[str, float | None]:
    """Return what is told of one network; rates in percent."""
    assert found is not None
    assert found.accuracy is not None
    return {
        "accuracy": round(100 * found.accuracy, 2),
        "agreement": round(100 * found.agreement, 2),
        "kl": found.kl_to_teacher,
        "nll": found.nll,
    }


def table(found: dict[str, Any]) -> str:
    """Return theirs beside ours."""
    rows = [("accuracy in %", "paper, SST-2", "here", "agreement with teacher")]
    for way, name in NAMES.items():
        runs = [found["teacher"]] if way == "teacher" else [run[way] for run in found["runs"]]
        told = [f"{np.mean([run[what] for run in runs]):.1f}" for what in ("accuracy", "agreement")]
        each = ", ".join(f"{run['accuracy']:.1f}" for run in runs)
        rows.append((name, str(PAPER.get(way, "-")), f"{told[0]} ({each})", told[1]))
    return results.table(*rows)


if __name__ == "__main__":
    main()
