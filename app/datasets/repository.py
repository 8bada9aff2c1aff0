"""Every SQL statement about registered transfer sets (what inspections do stands in `app.inspections`)."""

from app.db.owned import OwnedRepository
from app.db.tables import Dataset


class DatasetRepository(OwnedRepository[Dataset]):
    table = Dataset
