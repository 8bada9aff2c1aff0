"""The operators of captured networks, by overload: whatever is not listed here is neither captured nor built.

All are functions of tensors and numbers. None reads or writes files, none sees memory that is not a tensor's own
(no `as_strided`, `set_`, `resize_`), none depends on values in the shape that it answers with (no `nonzero`, `item`),
and all run on shapes alone, so that a network's work is known before any of it is done.
"""

_ACTIVATIONS = """
celu celu_ elu elu_ gelu gelu_ glu hardshrink hardsigmoid hardsigmoid_ hardswish hardswish_ hardtanh hardtanh_
leaky_relu leaky_relu_ log_sigmoid log_softmax.int mish mish_ prelu relu relu6 relu6_ relu_ rrelu rrelu_ selu selu_
sigmoid sigmoid_ silu silu_ softmax.int softplus softshrink tanh tanh_ threshold threshold_
"""
_LAYERS = """
adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d
adaptive_max_pool3d addbmm addmm alpha_dropout alpha_dropout_ avg_pool1d avg_pool2d avg_pool3d baddbmm batch_norm
bilinear bmm cdist channel_shuffle conv1d conv1d.padding conv2d conv2d.padding conv3d conv3d.padding conv_transpose1d
conv_transpose2d.input conv_transpose3d.input cosine_similarity dot dropout dropout_ einsum embedding
feature_alpha_dropout feature_alpha_dropout_ feature_dropout feature_dropout_ group_norm gru.input gru_cell im2col
instance_norm layer_norm linear lstm.input lstm_cell matmul max_pool1d max_pool2d max_pool3d mm mv native_group_norm
native_layer_norm outer pairwise_distance pixel_shuffle pixel_unshuffle rms_norm rnn_relu.input rnn_relu_cell
rnn_tanh.input rnn_tanh_cell scaled_dot_product_attention upsample_bicubic2d.vec upsample_bilinear2d.vec
upsample_linear1d.vec upsample_nearest1d.vec upsample_nearest2d.vec upsample_nearest3d.vec upsample_trilinear3d.vec
"""
_NUMBERS = """
abs abs_ add.Scalar add.Tensor add_.Scalar add_.Tensor addcdiv addcmul atan atan2 bernoulli bernoulli_.float ceil clamp
clamp.Tensor clamp_ clamp_max clamp_min clamp_min_ cos cosh cumprod cumsum div.Scalar div.Tensor div.Tensor_mode
div_.Scalar div_.Tensor erf erfc exp exp2 exp_ expm1 floor floor_divide floor_divide.Scalar fmod.Scalar fmod.Tensor
frac lerp.Scalar lerp.Tensor log log10 log1p log2 log_ logaddexp logit maximum minimum mul.Scalar mul.Tensor
mul_.Scalar mul_.Tensor nan_to_num neg neg_ pow.Scalar pow.Tensor_Scalar pow.Tensor_Tensor pow_.Scalar pow_.Tensor
rand_like randn_like reciprocal remainder.Scalar remainder.Tensor round rsqrt rsub.Scalar rsub.Tensor sgn sign sin sinc
sinh sqrt sqrt_ square sub.Scalar sub.Tensor sub_.Scalar sub_.Tensor tan trunc xlogy.Tensor
"""
_COMPARISONS = """
all all.dim any any.dim bitwise_and.Scalar bitwise_and.Tensor bitwise_not bitwise_or.Scalar bitwise_or.Tensor
bitwise_xor.Tensor eq.Scalar eq.Tensor ge.Scalar ge.Tensor gt.Scalar gt.Tensor isfinite isinf isnan le.Scalar le.Tensor
logical_and logical_not logical_or logical_xor lt.Scalar lt.Tensor masked_fill.Scalar masked_fill.Tensor
masked_fill_.Scalar masked_fill_.Tensor ne.Scalar ne.Tensor where.Scalar where.ScalarOther where.ScalarSelf where.self
"""
_REDUCTIONS = """
amax amin aminmax argmax argmin argsort linalg_vector_norm logcumsumexp logsumexp max max.dim max.other mean mean.dim
median.dim min min.dim min.other norm.ScalarOpt_dim prod prod.dim_int sort std std.correction std.dim sum
sum.dim_IntList topk var var.correction var.dim var_mean.correction
"""
_SHAPES = """
alias broadcast_to cat chunk clone concat concatenate constant_pad_nd contiguous copy_ detach detach_ diagonal expand
expand_as fill.Scalar fill_.Scalar fill_.Tensor flatten.using_ints flip gather hstack index.Tensor index_select
lift_fresh_copy mH mT movedim.int movedim.intlist narrow pad permute ravel repeat
repeat_interleave.self_int reshape roll rot90 scatter.src scatter.value scatter_add select.int slice.Tensor
split.Tensor split.sizes split_with_sizes squeeze squeeze.dim squeeze.dims squeeze_ squeeze_.dim stack swapaxes
swapdims sym_numel sym_size.int t tensor_split.sections tile transpose.int tril tril_ triu triu_ unbind.int
unflatten.int unfold unsqueeze unsqueeze_ view view_as vstack zero_
"""
_FACTORIES = """
arange arange.start arange.start_step empty.memory_format empty_like full full_like linspace new_empty new_full
new_ones new_zeros one_hot ones ones_like rand randn scalar_tensor to.device to.dtype to.dtype_layout to.other type_as
zeros zeros_like _to_copy
"""
_SIZES = """
math.ceil math.floor math.trunc operator.add operator.eq operator.floordiv operator.ge operator.getitem operator.gt
operator.le operator.lt operator.mod operator.mul operator.ne operator.neg operator.sub operator.truediv
torch.sym_float torch.sym_int torch.sym_max torch.sym_min torch.sym_not
"""


def _overloads(words: str) -> list[str]:
    return [f"aten.{word}" if "." in word else f"aten.{word}.default" for word in words.split()]


SIZES = frozenset(_SIZES.split())
"""Arithmetic on the sizes of tensors, and the parts of what an operator answers with."""
OPERATORS = (
    frozenset(
        overload
        for group in (_ACTIVATIONS, _LAYERS, _NUMBERS, _COMPARISONS, _REDUCTIONS, _SHAPES, _FACTORIES)
        for overload in _overloads(group)
    )
    | SIZES
)
UNDEFINED = {
    "aten.empty.memory_format": "aten.zeros.default",
    "aten.empty_like.default": "aten.zeros_like.default",
    "aten.new_empty.default": "aten.new_zeros.default",
}
"""Operators whose answer holds whatever the memory held before, and those that take their place."""
MODES: dict[str, tuple[int, str, bool | float]] = {
    "aten.batch_norm.default": (5, "training", False),
    "aten.instance_norm.default": (5, "use_input_stats", False),
    **{
        f"aten.{name}.default": (2, "train", False)
        for kind in ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
        for name in (kind, f"{kind}_")
    },
    "aten.rrelu.default": (3, "training", False),
    "aten.rrelu_.default": (3, "training", False),
    **{f"aten.{name}.input": (6, "train", False) for name in ("lstm", "gru", "rnn_tanh", "rnn_relu")},
    "aten.scaled_dot_product_attention.default": (4, "dropout_p", 0.0),
}
"""Operators that behave otherwise in evaluation: place and name of the argument that says so, and its value there."""


def writes(operator: str) -> bool:
    """Return whether an operator writes into its first argument."""
    return operator.startswith("aten.") and operator.split(".")[1].endswith("_")
