"""The distillation methods: what a user may set, one file a method; `worker/engine/objectives/` has the formulas.

An objective is a list of terms; the loss is the sum of each term's value times its weight.
"""

from typing import Annotated

from pydantic import Field

from app.contract.objectives.annealed_target import AnnealedTarget
from app.contract.objectives.attention_transfer import AttentionTransfer
from app.contract.objectives.dist import Dist
from app.contract.objectives.dkd import Dkd
from app.contract.objectives.embedding_cosine import EmbeddingCosine
from app.contract.objectives.feature_term import FeatureTerm
from app.contract.objectives.hard_target import HardTarget
from app.contract.objectives.hint import Hint
from app.contract.objectives.jsd import Jsd
from app.contract.objectives.logit_mse import LogitMse
from app.contract.objectives.logit_standardized import LogitStandardized
from app.contract.objectives.multilabel import Multilabel
from app.contract.objectives.pseudo_label import PseudoLabel
from app.contract.objectives.reverse_kl import ReverseKl
from app.contract.objectives.skew_kl import SkewKl
from app.contract.objectives.soft_target import SoftTarget
from app.contract.objectives.teacher_free import TeacherFree
from app.contract.objectives.term import Branch, Need, Part, Term

TERMS: tuple[type[Term], ...] = (
    AnnealedTarget,
    AttentionTransfer,
    Dist,
    Dkd,
    EmbeddingCosine,
    HardTarget,
    Hint,
    Jsd,
    LogitMse,
    LogitStandardized,
    Multilabel,
    PseudoLabel,
    ReverseKl,
    SkewKl,
    SoftTarget,
    TeacherFree,
)
ObjectiveTerm = Annotated[
    AnnealedTarget
    | AttentionTransfer
    | Dist
    | Dkd
    | EmbeddingCosine
    | HardTarget
    | Hint
    | Jsd
    | LogitMse
    | LogitStandardized
    | Multilabel
    | PseudoLabel
    | ReverseKl
    | SkewKl
    | SoftTarget
    | TeacherFree,
    Field(discriminator="kind"),
]

__all__ = [
    "TERMS",
    "AnnealedTarget",
    "AttentionTransfer",
    "Branch",
    "Dist",
    "Dkd",
    "EmbeddingCosine",
    "FeatureTerm",
    "HardTarget",
    "Hint",
    "Jsd",
    "LogitMse",
    "LogitStandardized",
    "Multilabel",
    "Need",
    "ObjectiveTerm",
    "Part",
    "PseudoLabel",
    "ReverseKl",
    "SkewKl",
    "SoftTarget",
    "TeacherFree",
    "Term",
]
