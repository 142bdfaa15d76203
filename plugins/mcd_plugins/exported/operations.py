"""The operations that an exported program may call, each by name.

They compute tensors from tensors and numbers. What reads or writes files, makes random numbers, hands out memory that
nobody has written, or is not meant to be called by a model is missing, and so is whatever torch adds later.
"""

from __future__ import annotations

__all__ = ["OPERATIONS", "SIZES"]

_ATEN = """
__and__.Scalar,Tensor __or__.Scalar,Tensor __xor__.Scalar,Tensor _adaptive_avg_pool2d _adaptive_avg_pool3d
_assert_scalar _assert_tensor_metadata _convolution.default,deprecated _log_softmax
_native_batch_norm_legit.default,no_stats _native_batch_norm_legit_no_training
_scaled_dot_product_flash_attention_for_cpu _softmax _to_copy _unsafe_view _upsample_bicubic2d_aa.default,vec
_upsample_bilinear2d_aa.default,vec _upsample_nearest_exact1d.default,vec _upsample_nearest_exact2d.default,vec
_upsample_nearest_exact3d.default,vec _weight_norm abs abs_ acos acos_ acosh adaptive_avg_pool1d adaptive_avg_pool2d
adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d add.Scalar,Tensor add_.Scalar,Tensor
addcdiv addcdiv_ addcmul addcmul_ addmm.default,dtype addmm_ addmv affine_grid_generator alias all.default,dim,dims
alpha_dropout amax amin aminmax angle any.default,dim,dims arange.default,start,start_step argmax argmin
argsort.default,stable as_strided asin asin_ asinh atan atan2 atan2_ atan_ atanh avg_pool1d avg_pool2d avg_pool3d
baddbmm.default,dtype batch_norm bilinear bitwise_and.Scalar,Scalar_Tensor,Tensor bitwise_not
bitwise_or.Scalar,Scalar_Tensor,Tensor bitwise_xor.Scalar,Scalar_Tensor,Tensor bmm.default,dtype broadcast_tensors
broadcast_to bucketize.Scalar,Tensor cat ceil ceil_ celu celu_ channel_shuffle chunk clamp.Tensor,default
clamp_.Tensor,default clamp_max.Tensor,default clamp_max_.Tensor,default clamp_min.Tensor,default
clamp_min_.Tensor,default clip.Tensor,default clip_.Tensor,default clone col2im complex concat concatenate conj
conj_physical constant_pad_nd contiguous conv1d.default,padding conv2d.default,padding conv3d.default,padding
conv_transpose1d conv_transpose2d.input conv_transpose3d.input convolution copy copy_ cos cos_ cosh cosine_similarity
cross cumprod cumsum detach detach_ diag diag_embed diagonal div.Scalar,Scalar_mode,Tensor,Tensor_mode
div_.Scalar,Scalar_mode,Tensor,Tensor_mode divide.Scalar,Scalar_mode,Tensor,Tensor_mode
divide_.Scalar,Scalar_mode,Tensor,Tensor_mode dot dropout dropout_ einsum elu elu_ embedding eq.Scalar,Tensor erf erf_
erfc exp exp2 exp_ expand expand_as expm1 eye.default,m feature_alpha_dropout feature_dropout fft_fft fft_fft2
fft_fftshift fft_ifft fft_ifft2 fft_ifftshift fft_irfft fft_irfft2 fft_rfft fft_rfft2 fill.Scalar,Tensor
fill_.Scalar,Tensor flatten.using_ints flip fliplr flipud floor floor_ floor_divide.Scalar,default
floor_divide_.Scalar,Tensor fmax fmin fmod.Scalar,Tensor frac frobenius_norm.dim full full_like gather
ge.Scalar,Tensor ge_.Scalar,Tensor gelu gelu_ glu greater.Scalar,Tensor greater_equal.Scalar,Tensor grid_sampler
grid_sampler_2d grid_sampler_3d group_norm gru.data,input gt.Scalar,Tensor hardshrink hardsigmoid hardsigmoid_
hardswish hardswish_ hardtanh hardtanh_ hypot im2col imag index.Tensor index_add index_copy
index_fill.int_Scalar,int_Tensor index_put index_put_ index_select inner instance_norm isclose isfinite isinf isnan
layer_norm le.Scalar,Tensor leaky_relu leaky_relu_ lerp.Scalar,Tensor lerp_.Scalar,Tensor less.Scalar,Tensor
less_equal.Scalar,Tensor lift_fresh lift_fresh_copy linalg_cross linalg_norm.default,ord_str linalg_vector_norm linear
linspace.Scalar_Tensor,Tensor_Scalar,Tensor_Tensor,default log log10 log1p log2 log_ log_sigmoid log_softmax.int
logical_and logical_not logical_or logical_xor logit logspace.Scalar_Tensor,Tensor_Scalar,Tensor_Tensor,default
logsumexp lstm.data,input lt.Scalar,Tensor masked_fill.Scalar,Tensor masked_fill_.Scalar,Tensor matmul
max.default,dim,dim_max,other max_pool1d max_pool2d max_pool2d_with_indices max_pool3d max_pool3d_with_indices maximum
mean.default,dim meshgrid.default,indexing min.default,dim,dim_min,other minimum mish mish_ mm.default,dtype
moveaxis.int,intlist movedim.int,intlist mul.Scalar,Tensor mul_.Scalar,Tensor multiply.Scalar,Tensor
multiply_.Scalar,Tensor mv nan_to_num nanmean nansum narrow.Tensor,default native_batch_norm native_dropout
native_group_norm native_layer_norm ne.Scalar,Tensor neg neg_ negative new_full new_ones new_zeros
norm.Scalar,ScalarOpt_dim,ScalarOpt_dim_dtype,ScalarOpt_dtype not_equal.Scalar,Tensor one_hot ones ones_like outer pad
pairwise_distance permute pixel_shuffle pixel_unshuffle polar pow.Scalar,Tensor_Scalar,Tensor_Tensor
pow_.Scalar,Tensor prelu prod.default,dim_int ravel real reciprocal reciprocal_ reflection_pad1d reflection_pad2d
reflection_pad3d relu relu6 relu6_ relu_ remainder.Scalar,Scalar_Tensor,Tensor remainder_.Scalar,Tensor repeat
repeat_interleave.Tensor,self_Tensor,self_int replication_pad1d replication_pad2d replication_pad3d reshape reshape_as
resolve_conj resolve_neg rms_norm rnn_relu.data,input rnn_tanh.data,input roll rot90 round.decimals,default
round_.decimals,default rrelu rsqrt rsqrt_ rsub.Scalar,Tensor scalar_tensor scaled_dot_product_attention
scatter.reduce,src,value,value_reduce scatter_.reduce,src,value,value_reduce scatter_add scatter_add_
scatter_reduce.two searchsorted.Scalar,Tensor select.int select_scatter selu selu_ sgn sigmoid sigmoid_ sign sign_
silu silu_ sin sin_ sinh slice.Tensor slice_scatter softmax.int softplus softshrink
sort.default,stable,values,values_stable split.Tensor,sizes split_with_sizes sqrt sqrt_ square
squeeze.default,dim,dims squeeze_.default,dim,dims stack std.correction,default,dim std_mean.correction,default,dim
sub.Scalar,Tensor sub_.Scalar,Tensor subtract.Scalar,Tensor sum.default,dim_IntList swapaxes sym_constrain_range
sym_constrain_range_for_size sym_numel sym_size.int sym_storage_offset sym_stride.int t take_along_dim tan tanh tanh_
tensor_split.indices,sections,tensor_indices_or_sections threshold threshold_ tile to.device,dtype,other
topk.default,values transpose.int transpose_ tril triu true_divide.Scalar,Tensor true_divide_.Scalar,Tensor trunc
type_as unbind.int unflatten.int unfold unsafe_chunk unsafe_split.Tensor unsafe_split_with_sizes unsqueeze unsqueeze_
upsample_bicubic2d.default,vec upsample_bilinear2d.default,vec upsample_linear1d.default,vec
upsample_nearest1d.default,vec upsample_nearest2d.default,vec upsample_nearest3d.default,vec
upsample_trilinear3d.default,vec var.correction,default,dim var_mean.correction,default,dim view.default,dtype view_as
view_as_complex view_as_real where.Scalar,ScalarOther,ScalarSelf,default,self
xlogy.OutScalar_Other,OutScalar_Self,OutTensor,Scalar_Other,Scalar_Self,Tensor zero zero_ zeros zeros_like
"""
"""``NAME.OVERLOAD,OVERLOAD``; without a dot, the one called ``default``."""

SIZES = frozenset(
    f"{module}.{name}"
    for module, names in {
        "_operator": "add sub mul neg pow mod floordiv truediv eq ne lt le gt ge and_ or_ not_",
        "math": "ceil floor trunc sqrt",
        "torch": "sym_max sym_min sym_not sym_int sym_float sym_ite sym_sum",
    }.items()
    for name in names.split()
)
"""What computes sizes: numbers alone go in and come out."""


def _aten() -> frozenset[str]:
    entries = [entry.partition(".") for entry in _ATEN.split()]
    return frozenset(
        f"torch.ops.aten.{name}.{overload}"
        for name, _, found in entries
        for overload in (found or "default").split(",")
    )


OPERATIONS = _aten() | SIZES
