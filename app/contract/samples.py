"""What one sample of a transfer set is, in a word that formats, families and augmentations share."""

from typing import Literal

SampleKind = Literal["array", "image", "text", "words"]
"""`array`: numbers of any shape; `image`: (channels, height, width), 0 to 255; `text`: a string; `words`: a list of
strings, each of which has a label of its own."""
