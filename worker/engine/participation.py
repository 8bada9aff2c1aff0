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
    if len(transfer_set.labelled_rows["train"]):
        return tuple(terms), ""
    able = tuple(term for term in terms if "labels" not in term.needs)
    idle = ", ".join(term.kind for term in terms if "labels" in term.needs)
    if not any(max(extremes(term.weight)) > 0 for term in able):
        text = f"No training sample carries a label, and the objective needs labels ({idle}): nothing would be learnt."
        raise EngineFailure(FailureCode.INVALID_TRANSFER_SET, text)
    return able, f"No training sample carries a label: {idle} takes no part." if idle else ""


def why_not_monitored(stopping: EarlyStopping, terms: Sequence[ObjectiveTerm], transfer_set: TransferSet) -> str | None:
    """Return why early stopping cannot see what it monitors, or None."""
    if not len(transfer_set.rows["validation"]):
        return "Early stopping needs a validation split, and the transfer set has none."
    needs_labels = stopping.monitor == "accuracy" or (
        stopping.monitor == "loss" and all("labels" in term.needs for term in terms)
    )
    if needs_labels and not len(transfer_set.labelled_rows["validation"]):
        return f"Early stopping on {stopping.monitor} needs labels, and no validation sample carries one."
    return None
