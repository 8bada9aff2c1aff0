"""Cosine of embeddings."""

from typing import ClassVar, Literal

from app.contract.objectives.term import Branch, Need, Term


class EmbeddingCosine(Term):
    """One less the cosine between student's and teacher's outputs, averaged over the batch: directions, not lengths."""

    title: ClassVar[str] = "Cosine of embeddings"
    formula: ClassVar[str] = "mean_B (1 - s·t / (|s| |t|))"
    paper: ClassVar[str] = "Sanh et al. 2019 (DistilBERT), arXiv:1910.01108"
    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})
    branch: ClassVar[Branch] = "embedding"
    distributions: ClassVar[bool] = False

    kind: Literal["embedding_cosine"] = "embedding_cosine"
