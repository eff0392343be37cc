// Pictures of captured attention. Weights are what the kernels used: after the method's own gains and biases (P' of kernels/attention.h).
#pragma once

#include <ATen/ATen.h>

#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "core/attention/attention_recorder.h"

namespace attelier {

/// What a map averages over: sites, steps and heads, each one or all.
struct MapScope {
  std::string site;             // its path; "" = all of the kind
  std::optional<int64_t> step;  // as captured
  std::optional<int64_t> head;
  std::optional<int64_t> source = std::nullopt;  // keys of another picture: this source of the method's control; absent = the picture's own
};

/// All maps are f32 [height, width] on the largest token grid among the averaged sites; smaller grids are enlarged bilinearly, one site alone keeps its own.
/// An empty tensor [0, 0] where no capture is within the scope. A stop request throws Interrupted.
///
/// The share of each place's cross-attention that goes to `tokens`, together (Tang et al. 2023, "What the DAAM", with means in place of sums).
at::Tensor word_map(std::span<const CapturedAttention> captures, const MapScope& scope, const std::vector<int64_t>& tokens, const std::stop_token& stop = {});
/// Where the token at (x, y), in shares of the picture, looks: its self-attention over all places of this picture, or of the scope's source.
at::Tensor place_map(std::span<const CapturedAttention> captures, const MapScope& scope, double x, double y, const std::stop_token& stop = {});
/// How much self-attention each place gets from all others, in multiples of the mean.
at::Tensor received_map(std::span<const CapturedAttention> captures, const MapScope& scope, const std::stop_token& stop = {});
/// How widely each place looks: the entropy of its attention in bits, of self- or cross-attention.
at::Tensor entropy_map(std::span<const CapturedAttention> captures, const MapScope& scope, AttentionKind kind, const std::stop_token& stop = {});

/// The share that each text token gets from the place (x, y): f64 [tokens], the same average. Empty where nothing is within the scope.
std::vector<double> word_shares(std::span<const CapturedAttention> captures, const MapScope& scope, double x, double y, const std::stop_token& stop = {});

/// The sites of this kind that were captured, in order of execution, each with the grid of its queries; and the steps.
struct CapturedSite {
  AttentionSite site;
  int64_t grid_height = 0, grid_width = 0;
};
std::vector<CapturedSite> captured_sites(std::span<const CapturedAttention> captures, AttentionKind kind);
std::vector<int64_t> captured_steps(std::span<const CapturedAttention> captures);

}  // namespace attelier
