"""The distillation methods: what a user may set, one file a method; `worker/engine/objectives/` has the formulas.

An objective is a list of terms; the loss is the sum of each term's value times its weight.
"""

from typing import Annotated

from pydantic import Field

from app.contract.objectives.activation_boundary import ActivationBoundary
from app.contract.objectives.annealed_target import AnnealedTarget
from app.contract.objectives.attention_transfer import AttentionTransfer
from app.contract.objectives.channel_distillation import ChannelDistillation
from app.contract.objectives.correlation_congruence import CorrelationCongruence
from app.contract.objectives.crd import Crd
from app.contract.objectives.cwd import Cwd
from app.contract.objectives.dist import Dist
from app.contract.objectives.dkd import Dkd
from app.contract.objectives.embedding_cosine import EmbeddingCosine
from app.contract.objectives.factor_transfer import FactorTransfer
from app.contract.objectives.feature_term import FeatureTerm
from app.contract.objectives.fsp import Fsp
from app.contract.objectives.guided_kd import GuidedKd
from app.contract.objectives.hard_target import HardTarget
from app.contract.objectives.hidden_cosine import HiddenCosine
from app.contract.objectives.hint import Hint
from app.contract.objectives.ickd import Ickd
from app.contract.objectives.jsd import Jsd
from app.contract.objectives.logit_mse import LogitMse
from app.contract.objectives.logit_standardized import LogitStandardized
from app.contract.objectives.margin_mse import MarginMse
from app.contract.objectives.mgd import Mgd
from app.contract.objectives.minilm import Minilm
from app.contract.objectives.multilabel import Multilabel
from app.contract.objectives.mutual import Mutual
from app.contract.objectives.nst import Nst
from app.contract.objectives.overhaul import Overhaul
from app.contract.objectives.patient import Patient
from app.contract.objectives.pixelwise import Pixelwise
from app.contract.objectives.pkd import Pkd
from app.contract.objectives.pkt import Pkt
from app.contract.objectives.pseudo_label import PseudoLabel
from app.contract.objectives.reverse_kl import ReverseKl
from app.contract.objectives.review import Review
from app.contract.objectives.rkd import Rkd
from app.contract.objectives.similarity_distribution import SimilarityDistribution
from app.contract.objectives.similarity_preserving import SimilarityPreserving
from app.contract.objectives.simkd import Simkd
from app.contract.objectives.skew_kl import SkewKl
from app.contract.objectives.soft_target import SoftTarget
from app.contract.objectives.teacher_free import TeacherFree
from app.contract.objectives.term import Branch, Need, Part, Term
from app.contract.objectives.tinybert import Tinybert
from app.contract.objectives.uld import Uld
from app.contract.objectives.vid import Vid

TERMS: tuple[type[Term], ...] = (
    ActivationBoundary,
    AnnealedTarget,
    AttentionTransfer,
    ChannelDistillation,
    CorrelationCongruence,
    Crd,
    Cwd,
    Dist,
    Dkd,
    EmbeddingCosine,
    FactorTransfer,
    Fsp,
    GuidedKd,
    HardTarget,
    HiddenCosine,
    Hint,
    Ickd,
    Jsd,
    LogitMse,
    LogitStandardized,
    MarginMse,
    Mgd,
    Minilm,
    Multilabel,
    Mutual,
    Nst,
    Overhaul,
    Patient,
    Pixelwise,
    Pkd,
    Pkt,
    PseudoLabel,
    ReverseKl,
    Review,
    Rkd,
    SimilarityDistribution,
    SimilarityPreserving,
    Simkd,
    SkewKl,
    SoftTarget,
    TeacherFree,
    Tinybert,
    Uld,
    Vid,
)
ObjectiveTerm = Annotated[
    ActivationBoundary
    | AnnealedTarget
    | AttentionTransfer
    | ChannelDistillation
    | CorrelationCongruence
    | Crd
    | Cwd
    | Dist
    | Dkd
    | EmbeddingCosine
    | FactorTransfer
    | Fsp
    | GuidedKd
    | HardTarget
    | HiddenCosine
    | Hint
    | Ickd
    | Jsd
    | LogitMse
    | LogitStandardized
    | MarginMse
    | Mgd
    | Minilm
    | Multilabel
    | Mutual
    | Nst
    | Overhaul
    | Patient
    | Pixelwise
    | Pkd
    | Pkt
    | PseudoLabel
    | ReverseKl
    | Review
    | Rkd
    | SimilarityDistribution
    | SimilarityPreserving
    | Simkd
    | SkewKl
    | SoftTarget
    | TeacherFree
    | Tinybert
    | Uld
    | Vid,
    Field(discriminator="kind"),
]

__all__ = [
    "TERMS",
    "ActivationBoundary",
    "AnnealedTarget",
    "AttentionTransfer",
    "Branch",
    "ChannelDistillation",
    "CorrelationCongruence",
    "Crd",
    "Cwd",
    "Dist",
    "Dkd",
    "EmbeddingCosine",
    "FactorTransfer",
    "FeatureTerm",
    "Fsp",
    "GuidedKd",
    "HardTarget",
    "HiddenCosine",
    "Hint",
    "Ickd",
    "Jsd",
    "LogitMse",
    "LogitStandardized",
    "MarginMse",
    "Mgd",
    "Minilm",
    "Multilabel",
    "Mutual",
    "Need",
    "Nst",
    "ObjectiveTerm",
    "Overhaul",
    "Part",
    "Patient",
    "Pixelwise",
    "Pkd",
    "Pkt",
    "PseudoLabel",
    "ReverseKl",
    "Review",
    "Rkd",
    "SimilarityDistribution",
    "SimilarityPreserving",
    "Simkd",
    "SkewKl",
    "SoftTarget",
    "TeacherFree",
    "Term",
    "Tinybert",
    "Uld",
    "Vid",
]
