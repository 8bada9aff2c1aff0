"""A teacher made by hand."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.objectives.term import Need, Term
from app.contract.schedules import Temperature, Weight


class TeacherFree(Term):
    """Kullback-Leibler divergence from a virtual teacher that is always right to the student (the paper's Tf-KD_reg).

    The virtual teacher gives the label's class `correct` and shares out the rest evenly, softened by T; the student
    stands at temperature 1. No network teaches: it shows what of a gain is the teacher's, and what any soft target's.
    Of a mixed sample, the values for both of its labels are mixed likewise.
    """

    title: ClassVar[str] = "Teacher-free regularisation"
    formula: ClassVar[str] = "mean_labelled KL(softmax(u / T) ‖ softmax(s)), u_y = a, u_k = (1 - a) / (C - 1)"
    paper: ClassVar[str] = "Yuan et al. 2020, arXiv:1909.11723"
    needs: ClassVar[frozenset[Need]] = frozenset({"labels"})

    kind: Literal["teacher_free"] = "teacher_free"
    weight: Weight = 0.1
    """What the term's value is multiplied with; the paper takes α = 0.1, beside hard targets of 1 - α."""
    correct: float = Field(default=0.99, gt=0.5, le=1)
    """a: the probability that the virtual teacher gives the label's class; the paper asks for 0.9 or more."""
    temperature: Temperature = 20.0
    """Softens the virtual teacher's probabilities; a number or a schedule above 0."""
