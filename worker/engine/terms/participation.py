"""Which terms of an objective can take part on a transfer set, and on what early stopping can look."""

from collections.abc import Sequence

from app.contract.objectives import ObjectiveTerm
from app.contract.schedules import extremes
from app.contract.states import FailureCode
from app.contract.training import EarlyStopping
from worker.engine.failures import EngineFailure
from worker.engine.inputs import TransferSet


def taking_part(terms: Sequence[ObjectiveTerm], transfer_set: TransferSet) -> tuple[tuple[ObjectiveTerm, ...], str]:
    """Return the terms that can teach something here, and a notice about the others (empty where there are none).

    Raises EngineFailure where nothing would be learnt.
    """
    labelled, unlabelled = transfer_set.counts["train"]
    able = tuple(term for term in terms if term.sees(labelled, unlabelled))
    idle = ", ".join(term.kind for term in terms if term not in able)
    if not any(max(extremes(term.weight)) > 0 for term in able):
        needs = "needs labels" if not labelled else "looks at unlabelled samples alone"
        text = f"{_why_idle(labelled)}, and the objective {needs} ({idle}): nothing would be learnt."
        raise EngineFailure(FailureCode.INVALID_TRANSFER_SET, text)
    return able, f"{_why_idle(labelled)}: {idle} takes no part." if idle else ""


def _why_idle(labelled: int) -> str:
    return "Every training sample carries a label" if labelled else "No training sample carries a label"


def why_not_monitored(stopping: EarlyStopping, terms: Sequence[ObjectiveTerm], transfer_set: TransferSet) -> str | None:
    """Return why early stopping cannot see what it monitors, or None."""
    if not len(transfer_set.rows["validation"]):
        return "Early stopping needs a validation split, and the transfer set has none."
    labelled, unlabelled = transfer_set.counts["validation"]
    of_outputs = [term for term in terms if term.outputs]
    if stopping.monitor == "loss" and not of_outputs:
        return "Early stopping on loss sees nothing: its terms are looked at in training alone. Monitor the agreement."
    blind = not any(term.sees(labelled, unlabelled) for term in of_outputs)
    if (stopping.monitor == "accuracy" or (stopping.monitor == "loss" and blind)) and not labelled:
        return f"Early stopping on {stopping.monitor} needs labels, and no validation sample carries one."
    if stopping.monitor == "loss" and blind:
        return (
            "Early stopping on loss sees nothing: every validation sample carries a label, and no term looks at those."
        )
    return None
