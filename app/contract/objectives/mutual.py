"""Deep mutual learning."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.objectives.term import Need, Term


class Mutual(Term):
    """Networks that learn together and from one another: the student and its peers, which are built like it.

    Each learns the labels, and what the others say (the student's labels are a term of their own: `hard_target`). Peers
    start from fresh weights of another seed, learn in the same steps, and are never exported. The job's teacher teaches
    nothing by this: it only stands in the report. The paper updates the networks one after the other, this all at once.
    """

    title: ClassVar[str] = "Mutual learning"
    formula: ClassVar[str] = "mean_labelled mean_q KL(softmax(q) ‖ softmax(s)), q: the logits of a peer"
    paper: ClassVar[str] = "Zhang et al. 2018, arXiv:1706.00384"
    needs: ClassVar[frozenset[Need]] = frozenset({"labels"})
    settled: ClassVar[bool] = True
    outputs: ClassVar[bool] = False

    kind: Literal["mutual"] = "mutual"
    peers: int = Field(default=1, ge=1, le=8)
    """Networks beside the student; each costs as much as the student's own training."""

    def networks(self) -> int:
        return self.peers
