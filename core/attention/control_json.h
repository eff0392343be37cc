// The attention-control descriptor as JSON: one object, every field optional and neutral by default, tensors by reference.
//
//   {"scale": x, "temperature": x | [H], "q_blend": {"q2": ref, "gamma": x, "rows": ref}, "sources": [{"k": ref, "v": ref, "batch_map": [B],
//    "log_weight": x | ref, "key_bias": ref, "key_scale": ref, "key_gain": ref, "key_class": ref}], the last four also at the top level for source 0,
//    "renorm": bool, "combine": "concat" | "blend", "blend_weight": [x | ref], "pair_bias": ref, "causal": {"offset": n},
//    "redistribute": {"kind": "table", "gain": [[g0,g1,g2,g3]]} | {"kind": "var", "keep", "rho_nonsink", "min_vis_mass", "eps", "row_from", "heads"},
//    "probes": [{"kind", "when", "heads", "reduce_heads", "rows", "keys", "row_weight", "k"}]}
//
// A reference is the name of a tensor in a table. Shapes are those of kernels/attention.h. A source without k and v means the call's own.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "kernels/attention.h"

namespace attelier {

using TensorTable = std::map<std::string, at::Tensor>;

/// Reads a control. Float tensors other than q2, k and v become float32. Throws Error(kBadInput) starting with `base` and the JSON pointer of the
/// field: unknown fields (with the nearest known one), wrong types, unknown enum values, missing tensors, empty index lists, contradictions.
kernels::AttentionControl parse_attention_control(const nlohmann::json& json, const TensorTable& tensors, const std::string& base = "");

/// kernels::validate() for a control read from `json`: Error(kBadInput) with the pointer as the file spells it.
void check_attention_control(const nlohmann::json& json, const kernels::AttentionControl& control, const at::Tensor& q, const at::Tensor& k,
                             const at::Tensor& v, const std::string& base = "");

/// The control with its queries, keys and values in q's dtype and everything on q's device.
kernels::AttentionControl matched_to(kernels::AttentionControl control, const at::Tensor& q);

}  // namespace attelier
