"""How a job stands, gathered from its events: rules only, no I/O."""

from dataclasses import dataclass, field
from typing import Any

from app.contract.resources import JobEvent


@dataclass
class Standing:
    """What those who follow a job see."""

    state: str = "queued"
    phase: str = ""
    run: str = ""
    stage: str = ""
    """The stage of the run; empty in its main training."""
    progress: float = 0.0
    """0 to 1, over the whole job."""
    step: int = 0
    steps: int = 0
    loss: float | None = None
    accuracy: float | None = None
    """Of the run that is being trained, on its validation split; before its first evaluation: unknown."""
    looked: str = ""
    """In a teacher pass: how many samples the teacher has seen, of how many."""
    eta_seconds: float | None = None
    notices: list[str] = field(default_factory=list)
    """What was said and not yet shown."""

    def take(self, event: JobEvent) -> None:
        """Bring the standing up to date with the next event."""
        read = getattr(self, f"_{event.type.replace('.', '_')}", None)
        if read:
            read(event, event.data)

    def activity(self) -> str:
        """Return what the job is doing, in a few words."""
        if self.state not in {"running", "finalizing"}:
            return self.state
        if not self.training:
            return self.phase.replace("_", " ") or self.state
        return f"training {self.run}" + (f", stage {self.stage}" if self.stage else "")

    @property
    def training(self) -> bool:
        return self.phase == "training"

    def _job_queued(self, event: JobEvent, data: dict[str, Any]) -> None:
        self.state = "queued"

    def _job_state(self, event: JobEvent, data: dict[str, Any]) -> None:
        self.state = str(data.get("state") or data.get("to") or self.state)

    _job_terminal = _job_state

    def _phase(self, event: JobEvent, data: dict[str, Any]) -> None:
        self.state, self.phase, self.looked = "running", str(data.get("phase", "")), ""
        run, stage = str(data.get("run") or ""), str(data.get("stage") or "")
        if (run, stage) != (self.run, self.stage):
            self.run, self.stage, self.accuracy, self.loss = run, stage, None, None

    def _teacher_pass(self, event: JobEvent, data: dict[str, Any]) -> None:
        self.looked = f"{data['samples']}/{data['of']}"

    def _step(self, event: JobEvent, data: dict[str, Any]) -> None:
        self.state, self.progress = "running", float(data["progress"])
        self.step, self.steps = int(data["step"]), int(data["steps"])
        self.run, self.stage = str(data.get("run") or self.run), str(data.get("stage") or "")
        self.loss = data["metrics"].get("loss", self.loss)
        self.eta_seconds = data.get("eta_seconds")

    def _evaluation(self, event: JobEvent, data: dict[str, Any]) -> None:
        self.accuracy = data["metrics"].get("accuracy", self.accuracy)

    def _notice(self, event: JobEvent, data: dict[str, Any]) -> None:
        self.notices.append(str(data.get("text", "")))

    def _resumed(self, event: JobEvent, data: dict[str, Any]) -> None:
        self.notices.append(f"attempt {event.attempt}: training goes on from step {data.get('step')}")
