"""Image models of the timm library, by name."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StringConstraints, field_validator

from app.contract.architectures.family import Family

_OWN_FIELDS = {"num_classes": "classes", "in_chans": "channels", "img_size": "image_size", "model_name": "name"}
FORBIDDEN = frozenset({
    # would load or download something
    "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "pretrained_strict", "pretrained_filter_fn",
    "pretrained_model_args", "checkpoint_path", "cache_dir",
    # would build something other than a classifier, or by other code
    "features_only", "feature_cfg", "feature_cls", "out_indices", "model_cls", "model_cfg", "variant", "kwargs_filter",
    # are the worker's to choose
    "scriptable", "exportable", "no_jit", "device", "dtype",
})  # fmt: skip
"""Arguments that are refused. timm's models have hundreds of others, so they are not listed one by one: what may load
anything is named here, and values are plain numbers, words and short lists, in which no path or address can stand."""

Pixels = Annotated[int, Field(ge=1, le=4096)]
Argument = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Scalar = (
    StrictBool
    | Annotated[StrictInt, Field(ge=-65_536, le=65_536)]
    | Annotated[StrictFloat, Field(ge=-65_536, le=65_536)]
    | Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.+-]{0,64}$")]
)
Value = Scalar | Annotated[tuple[Scalar, ...], Field(max_length=16)]


class Timm(Family):
    """Whatever `timm.create_model` builds from a name and arguments, never with pretrained weights.

    Parameter names are timm's own: `timm.create_model(name, num_classes=..., checkpoint_path="student.safetensors")`
    opens a student. The worker needs `stillhouse[timm]`. Input: (channels, height, width).
    """

    title: ClassVar[str] = "timm image model"
    sample_axes: ClassVar[str] = "channels, height, width"

    kind: Literal["timm"] = "timm"
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_]*(\.[a-z0-9_]+)?$", max_length=128)]
    """As in `timm.list_models()`, such as `resnet18` or `vit_tiny_patch16_224`."""
    channels: Annotated[int, Field(ge=1, le=1024)] = 3
    """Channels of the image: timm's `in_chans`."""
    image_size: Pixels | tuple[Pixels, Pixels] | None = None
    """timm's `img_size`, which models with position embeddings need where it is not the one in their name."""
    arguments: Annotated[dict[Argument, Value], Field(max_length=64)] = Field(default_factory=dict)
    """Further arguments of `timm.create_model`, such as `drop_path_rate` or `depths`."""

    @field_validator("arguments")
    @classmethod
    def _harmless(cls, arguments: dict[str, Value]) -> dict[str, Value]:
        for name in arguments:
            if name in _OWN_FIELDS:
                raise ValueError(f"the argument '{name}' is the field '{_OWN_FIELDS[name]}' here")
            if name in FORBIDDEN or name.startswith(("pretrained", "checkpoint")):
                raise ValueError(f"the argument '{name}' cannot be given: weights come from the uploaded file alone")
        return arguments

    @property
    def pixels(self) -> tuple[int, int] | None:
        """Height and width for which the network is built, where it is built for one size."""
        return (self.image_size, self.image_size) if isinstance(self.image_size, int) else self.image_size

    def refuses_sample(self, shape: tuple[int, ...]) -> str | None:
        if len(shape) != 3 or shape[0] != self.channels:
            wanted = f"({self.channels}, height, width)"
            return f"a timm network with channels={self.channels} takes samples of shape {wanted}, not {shape}"
        if self.pixels and shape[1:] != self.pixels and not self.arguments.get("dynamic_img_size"):
            return f"this timm network is built for images of {self.pixels} pixels (image_size), not {shape[1:]}"
        return None

    def shares_names(self, other: Family) -> bool:
        return isinstance(other, Timm) and self.name.partition(".")[0] == other.name.partition(".")[0]

    def flops(self, shape: tuple[int, ...]) -> None:
        return None

    def typical_sample(self) -> tuple[int, ...]:
        return (self.channels, *(self.pixels or (224, 224)))

    def size(self) -> None:
        return None
