"""Logit regression."""

from typing import ClassVar, Literal

from app.contract.objectives.term import Need, Term


class LogitMse(Term):
    """Mean squared error between the raw logits, averaged over batch and classes."""

    title: ClassVar[str] = "Logit regression"
    formula: ClassVar[str] = "mean_B,C (s - t)²"
    paper: ClassVar[str] = "Ba & Caruana 2014, arXiv:1312.6184; Tang et al. 2019, arXiv:1903.12136"
    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})

    distributions: ClassVar[bool] = False

    kind: Literal["logit_mse"] = "logit_mse"
