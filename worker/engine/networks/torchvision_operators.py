"""torchvision beside a torch that it was not built for.

Its wheel on PyPI is built for CUDA, cannot load its operators beside a CPU torch, and then cannot even be imported
("operator torchvision::nms does not exist"), which breaks libraries that want nothing but its image transforms.
"""

from functools import cache

import torch

_DETECTION = ("nms", "qnms")
_SCHEMA = "{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


@cache
def make_importable() -> torch.library.Library | None:
    """Declare the operators, without any code behind them, where torchvision lacks them; else do nothing.

    Returns what keeps the declarations alive. Where there is no torchvision at all, that is for the caller to notice.
    """
    try:
        import torchvision  # noqa: F401, PLC0415 - what is tried here
    except ModuleNotFoundError:
        return None
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        declared = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for name in _DETECTION:
            declared.define(_SCHEMA.format(name=name))  # type: ignore[no-untyped-call]
        return declared
    return None
