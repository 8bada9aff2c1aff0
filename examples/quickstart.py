"""Distil a small digit reader from a large one, with a service that runs already (`stillhouse serve`).

`python examples/demo.py --keep digits` makes teacher.safetensors and digits.npz, and puts this file beside them.
"""

from stillhouse import Stillhouse

with Stillhouse() as client:  # STILLHOUSE_URL, or http://127.0.0.1:8000
    teacher = client.models.create(
        "teacher.safetensors",
        architecture={"kind": "mlp", "inputs": 64, "hidden": [512, 512], "classes": 10},
    )
    data = client.datasets.create("digits.npz")
    job = client.jobs.create(
        teacher=teacher,
        student={"architecture": {"kind": "mlp", "inputs": 64, "hidden": [16], "classes": 10}},
        transfer_set=data,
        objective=[{"kind": "soft_target", "weight": 0.9, "temperature": 4}, {"kind": "hard_target", "weight": 0.1}],
    )
    job.follow()  # progress bars; Ctrl-C detaches, never cancels
    job.student.download("student.safetensors")  # resumes, checks the hash
    print(f"teacher {job.report.teacher.accuracy:.1%}, student {job.report.student.accuracy:.1%}")
