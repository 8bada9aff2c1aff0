"""What one sample of a transfer set is, in a word that formats, families and augmentations share."""

from typing import Literal

SampleKind = Literal["array", "image", "text"]
"""`array`: numbers of any shape; `image`: (channels, height, width), 0 to 255; `text`: a string."""
