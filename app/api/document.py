"""`python -m app.api.document`: print the OpenAPI document."""

import json
import sys

from app.api.docs import document
from app.main import create_app


def main() -> None:
    json.dump(document(create_app()), sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
