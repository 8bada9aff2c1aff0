"""Liu et al. 2021 (ICKD), arXiv:2202.03680, eq. 3 and 4, with the rows of length 1 that the authors' code has.

B = batch, G = cells of the grid, K = channels, P = positions of a cell.
"""

from torch import Tensor, nn

from app.contract.objectives import Ickd
from worker.engine.taps.feature import Feature
from worker.engine.terms.adapters import Adapter
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Setting
from worker.engine.terms.pieces import in_pieces
from worker.engine.terms.relations import directions


class Loss(nn.Module):
    """mean_B,G 1/K · Σ_ij (n(F_s F_sᵀ)_ij - n(F_t F_tᵀ)_ij)²."""

    def __init__(self, term: Ickd, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]
        # The adapters of channels alone: correlations are sums over positions, however many.
        self.connectors = nn.ModuleList(Adapter(joint, term.adapter).layers for joint in self.joints)

    def forward(self, batch: Batch) -> Tensor:
        return batch.held.mean(self.joints, self._apart, self.term.part)

    def _apart(self, place: int, student: Feature, teacher: Feature) -> Tensor:
        student_BGKP = _cells(self.connectors[place](student.value), self.term.grid)
        teacher_BGKP = _cells(teacher.value, self.term.grid)
        cells, channels = teacher_BGKP.shape[1:3]

        def values(rows: slice) -> Tensor:
            apart_BGKK = _correlations(student_BGKP[rows]) - _correlations(teacher_BGKP[rows])
            return apart_BGKK.square().sum((2, 3)).mean(1) / channels

        return in_pieces(values, len(teacher), cells * channels**2)


def _correlations(cells_BGKP: Tensor) -> Tensor:
    return directions(cells_BGKP @ cells_BGKP.transpose(2, 3))


def _cells(map_BKHW: Tensor, grid: int) -> Tensor:
    """Return a map's cells (B, G, K, P), `grid` rows and columns of them."""
    samples, channels, rows, columns = map_BKHW.shape
    cut = map_BKHW.reshape(samples, channels, grid, rows // grid, grid, columns // grid)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(samples, grid**2, channels, -1)
