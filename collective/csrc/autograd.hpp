// What every autograd function of ours names, and the layout in memory that they compute in.
#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

namespace tandem {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::Variable;
using torch::autograd::variable_list;

// `x` [N, C] or [N, C, H, W] with the channels of an element side by side.
inline at::Tensor channels_last(const at::Tensor& x) {
  return x.contiguous(x.dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
}

} // namespace tandem
