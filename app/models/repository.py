"""Every SQL statement about registered models (what inspections do stands in `app.inspections`)."""

from app.db.owned import OwnedRepository
from app.db.tables import Model


class ModelRepository(OwnedRepository[Model]):
    table = Model
