"""The model card, `README.md`: what a student is, what it is worth, how to load it, how it was made.

Its front matter is that of huggingface.co/docs/hub/model-cards.
"""

import html
import json
from collections.abc import Sequence
from typing import Any

import yaml

from app.contract.report import Evaluated, Hardware, Scores
from worker.engine.published import loading
from worker.engine.published.distilled import Distilled

_TASKS = {
    "text": "text-classification",
    "words": "token-classification",
    "image": "image-classification",
    "array": "tabular-classification",
}


def card(made: Distilled, student: str, plots: Sequence[str] = ()) -> str:
    """Return the card; `student` is the SHA-256 of the student's file, `plots` name those that lie beside it."""
    parts = [_front_matter(made), _what(made), _scores(made), *_pictures(plots), _loading(made), _making(made)]
    parts.append(_limits(made))
    return "\n\n".join([*parts, _again(made, student)]) + "\n"


def _title(made: Distilled) -> str:
    return " ".join((made.job.spec.name or f"Student of the kind {made.kind}").split())


def _front_matter(made: Distilled) -> str:
    task, accuracy = _task(made), made.report.student.accuracy
    fields: dict[str, Any] = {
        "library_name": loading.library(made),
        "pipeline_tag": task,
        "tags": ["knowledge-distillation", "stillhouse", made.kind],
    }
    if accuracy is not None:
        result = {
            "task": {"type": task},
            "dataset": {"type": "private", "name": f"sha256:{made.transfer_set}", "split": _on(made).split},
            "metrics": [{"type": "accuracy", "value": round(accuracy, 6)}],
        }
        fields |= {"metrics": ["accuracy"], "model-index": [{"name": _title(made), "results": [result]}]}
    return "---\n" + yaml.safe_dump(fields, sort_keys=False, allow_unicode=True) + "---"


def _task(made: Distilled) -> str:
    """Return the hub's name for what the student does."""
    if made.job.student.architecture.predicts_tokens():
        return "text-generation"
    return "feature-extraction" if made.report.student.embedding else _TASKS[made.sample_kind]


def _on(made: Distilled) -> Evaluated:
    return made.report.evaluated_on


def _what(made: Distilled) -> str:
    student, teacher = made.report.student, made.report.teacher
    who = "a teacher" if len(made.teachers) == 1 else f"an ensemble of {len(made.teachers)} teachers"
    classes = made.job.student.architecture.classes
    names = f": {', '.join(map(_code, made.class_names[:50]))}" if made.class_names else ""
    more = " and others (all in `manifest.json`)" if len(made.class_names) > 50 else ""
    does = f"It tells {classes:,} classes apart{names}{more}"
    if made.job.student.architecture.predicts_tokens():
        does = f"It predicts the next of {classes:,} tokens"
    if student.embedding:
        does = f"It answers with embeddings of {classes:,} numbers"
    return (
        f"# {html.escape(_title(made))}\n\n"
        f"A network of the kind `{made.kind}` with {student.parameters:,} parameters, distilled by Stillhouse from "
        f"{who} with {teacher.parameters:,}. {does}."
    )


def _code(text: str) -> str:
    """Return any text as code: no markup, no end of a table's cell."""
    return "`" + " ".join(text.split()).replace("`", "'").replace("|", "/") + "`"


_ROWS = (
    ("accuracy", "Accuracy", "{:.2%}"),
    ("agreement", "Agreement with the teacher", "{:.2%}"),
    ("kl_to_teacher", "KL(teacher ‖ network), nats", "{:.4f}"),
    ("nll", "Negative log-likelihood, nats", "{:.4f}"),
    ("ece", "Expected calibration error", "{:.4f}"),
    ("ece_scaled", "... after temperature scaling", "{:.4f}"),
    ("scaling_temperature", "Scaling temperature", "{:.3f}"),
    ("parameters", "Parameters", "{:,}"),
    ("bytes", "Bytes", "{:,}"),
    ("flops", "Operations a sample", "{:,}"),
    ("latency_ms", "Latency at batch 1, ms", "{:.3f}"),
)


def _scores(made: Distilled) -> str:
    report, on = made.report, _on(made)
    networks = {"Teacher": report.teacher, "Student": report.student}
    if report.control:
        networks["Control"] = report.control
    lines = ["| | " + " | ".join(networks) + " |", "|---|" + "---:|" * len(networks)]
    for field, words, form in _ROWS:
        lines.append(f"| {words} | " + " | ".join(_shown(scores, field, form) for scores in networks.values()) + " |")
    if report.student.entities:
        shown = ("-" if scores.entities is None else f"{scores.entities.f1:.2%}" for scores in networks.values())
        lines.insert(3, "| F1 of entities | " + " | ".join(shown) + " |")
    if report.student.perplexity:
        shown = ("-" if scores.perplexity is None else f"{scores.perplexity:,.2f}" for scores in networks.values())
        lines.insert(3, "| Perplexity | " + " | ".join(shown) + " |")
    measured = f"On {_counted(on)} of the {on.split} split, of which {on.labelled:,} carry a label."
    control = "The control is the same student, seed and budget without the teacher, on labels alone."
    missing = f"There is no control: {report.control_missing}"
    return f"## Scores\n\n{measured} {control if report.control else missing}\n\n" + "\n".join(lines)


def _counted(on: Evaluated) -> str:
    samples = f"{on.samples:,} samples"
    if on.tokens is not None:
        return f"{on.tokens:,} tokens in {samples}"
    return samples if on.words is None else f"{on.words:,} words in {samples}"


def _shown(scores: Scores, field: str, form: str) -> str:
    value = getattr(scores, field)
    return "-" if value is None else form.format(value)


def _pictures(plots: Sequence[str]) -> list[str]:
    return ["\n\n".join(f"![{name}]({name}.png)" for name in plots)] if plots else []


def _loading(made: Distilled) -> str:
    return f"## Loading\n\n{loading.words(made)}\n\n```python\n{loading.snippet(made)}```"


def _making(made: Distilled) -> str:
    spec, hardware = made.job.spec, made.report.hardware
    teachers = [
        f"- a teacher of the kind `{teacher.architecture.kind}`, weight {teacher.weight:g}, sha256 `{sha256}`"
        for teacher, sha256 in zip(made.job.teachers, made.teachers, strict=True)
    ]
    stages = [f"- before the main training, the stage {_settings(stage)}" for stage in spec.stages]
    terms = [f"- {term.title}: {_settings(term)}" for term in spec.objective]
    seen = [f"- augmentation: {_settings(step)}" for step in spec.augmentation]
    seconds = ", ".join(f"{run} {value:,.0f} s" for run, value in made.report.training_seconds.items())
    lines = [
        *teachers,
        f"- a transfer set, sha256 `{made.transfer_set}`",
        *stages,
        *terms,
        *seen,
        f"- training: {_settings(spec.training)}",
        f"- seed {spec.seed}; training took {seconds} on {hardware.processor}, {_devices(hardware)}",
    ]
    return "## How it was made\n\n" + "\n".join(lines)


def _devices(hardware: Hardware) -> str:
    return hardware.device if hardware.devices == 1 else f"{hardware.devices} x {hardware.device}"


def _settings(part: Any) -> str:
    return _code(json.dumps(part.model_dump(mode="json", exclude_none=True), ensure_ascii=False))


def _limits(made: Distilled) -> str:
    lines = [
        "It was trained to answer as its teacher does, right or wrong: its mistakes may have been learnt too.",
        "Scores hold for samples like those of the transfer set; nothing was measured on others.",
    ]
    if (split := _on(made).split) != "test":
        lines.append(f"The transfer set has no test split: the {split} split took part in making the student.")
    if made.report.student.ece is not None:
        lines.append("Divide logits by the scaling temperature before their softmax is read as a probability.")
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _again(made: Distilled, student: str) -> str:
    return (
        "## Making it again\n\n"
        "`job.lock.json` holds the resolved job, seed, versions and digests: `stillhouse submit job.lock.json` makes "
        "the same student where its teacher and transfer set are registered; on the same CPU, bit by bit. "
        "`manifest.json` has the SHA-256 of every file here.\n\n"
        f"- `student.safetensors`: sha256 `{student}`\n"
        + "\n".join(f"- {name} {version}" for name, version in made.report.versions.items() if version[0].isdigit())
    )
