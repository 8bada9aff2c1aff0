"""Factor transfer: Kim et al. 2018, arXiv:1802.04977. B = batch, K = channels, H, W = rows and columns.

Layers are those of the authors' code: three convolutions of 3 x 3, each with LeakyReLU, and batch norm in the
translator alone. As there, distances are means and not sums.
"""

from torch import Tensor, nn
from torch.nn.functional import normalize

from app.contract.objectives import FactorTransfer
from worker.engine.taps.feature import Feature
from worker.engine.terms.adapters import BatchNorm, at_one_size
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Joint, Setting

_SLOPE = 0.1


class Loss(nn.Module):
    """Paraphraser (eq. 1): mean_B mean (P(h_t) - h_t)²; translator (eq. 4): mean_B mean |F_t/|F_t| - F_s/|F_s||^p."""

    def __init__(self, term: FactorTransfer, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]
        self.paraphrasers = nn.ModuleList(_Paraphraser(joint, term.rate) for joint in self.joints)
        self.translators = nn.ModuleList(_translator(joint, term.rate) for joint in self.joints)
        paraphrasing = term.learns == "paraphraser"
        self.paraphrasers.requires_grad_(paraphrasing)
        self.translators.requires_grad_(not paraphrasing)

    def forward(self, batch: Batch) -> Tensor:
        compare = self._reconstruction if self.term.learns == "paraphraser" else self._distance
        return batch.held.mean(self.joints, compare, self.term.part)

    def _reconstruction(self, place: int, _student: Feature, teacher: Feature) -> Tensor:
        return teacher.mean_of((self.paraphrasers[place](teacher.value) - teacher.value) ** 2)

    def _distance(self, place: int, student: Feature, teacher: Feature) -> Tensor:
        paraphraser = self.paraphrasers[place]
        assert isinstance(paraphraser, _Paraphraser)
        factors = at_one_size(self.translators[place](student.value), paraphraser.encoder(teacher.value))
        own_BF, wanted_BF = (normalize(factor.flatten(1), dim=1) for factor in factors)
        apart_BF = own_BF - wanted_BF
        return (apart_BF.abs() if self.term.power == 1 else apart_BF**2).mean(1)


class _Paraphraser(nn.Module):
    """Maps (B, K, H, W) to themselves, by way of factors of fewer channels."""

    def __init__(self, joint: Joint, rate: float) -> None:
        super().__init__()
        wide, narrow = joint.teacher.channels, _factors(joint, rate)
        self.encoder = nn.Sequential(*_layer(wide, wide), *_layer(wide, narrow), *_layer(narrow, narrow))
        self.decoder = nn.Sequential(
            *_layer(narrow, narrow, nn.ConvTranspose2d),
            *_layer(narrow, wide, nn.ConvTranspose2d),
            *_layer(wide, wide, nn.ConvTranspose2d),
        )

    def forward(self, map_BKHW: Tensor) -> Tensor:
        decoded_BKHW: Tensor = self.decoder(self.encoder(map_BKHW))
        return decoded_BKHW


def _translator(joint: Joint, rate: float) -> nn.Module:
    given, narrow = joint.student.channels, _factors(joint, rate)
    widths = ((given, given), (given, narrow), (narrow, narrow))
    return nn.Sequential(*(nn.Sequential(_conv(*width), BatchNorm(width[1]), nn.LeakyReLU(_SLOPE)) for width in widths))


def _factors(joint: Joint, rate: float) -> int:
    return max(int(joint.teacher.channels * rate), 1)


def _conv(given: int, wanted: int, of: type[nn.Conv2d | nn.ConvTranspose2d] = nn.Conv2d) -> nn.Module:
    return of(given, wanted, 3, padding=1)


def _layer(given: int, wanted: int, of: type[nn.Conv2d | nn.ConvTranspose2d] = nn.Conv2d) -> tuple[nn.Module, ...]:
    return _conv(given, wanted, of), nn.LeakyReLU(_SLOPE)
