#include "pipelines/style/style_program.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace attelier {

bool is_injected(const AttentionSite& site, const std::vector<int64_t>& decoder_blocks) {
  return site.kind == AttentionKind::kSelf && std::find(decoder_blocks.begin(), decoder_blocks.end(), decoder_block(site.path)) != decoder_blocks.end();
}

namespace {

/// A view keeps its whole storage alive, so a part of a larger one is copied.
at::Tensor kept(const at::Tensor& view) { return view.storage().nbytes() > view.nbytes() ? view.clone(at::MemoryFormat::Contiguous) : view; }

}  // namespace

std::optional<kernels::AttentionControl> FeatureRecorder::control(const AttentionCall& call) {
  if (!is_injected(call.site, blocks_)) return std::nullopt;
  features_[call.site.path] = kind_ == Kind::kContent ? SiteFeatures{kept(call.q), {}, {}} : SiteFeatures{{}, kept(call.k), kept(call.v)};
  return std::nullopt;
}

void StyleInjection::use(const StepFeatures& content, std::vector<const StepFeatures*> styles) {
  content_ = &content;
  styles_ = std::move(styles);
}

const StyleInjection::Maps& StyleInjection::maps(int64_t height, int64_t width, at::Device device) {
  const auto [found, is_new] = maps_.try_emplace({height, width});
  Maps& maps = found->second;
  if (!is_new) return maps;
  std::vector<at::Tensor> weighted;
  maps.covered = at::zeros({1, height * width});
  for (size_t s = 0; s < mix_.masks.size(); ++s) {
    const at::Tensor map = at::adaptive_avg_pool2d(mix_.masks[s].view({1, 1, mix_.masks[s].size(0), -1}), {height, width}).view({1, height * width});
    maps.covered = at::maximum(maps.covered, map);
    weighted.push_back(map * mix_.weights[s]);
  }
  // Where several masks meet, styles share by weight.
  const at::Tensor sum = std::accumulate(weighted.begin() + 1, weighted.end(), weighted[0]).clamp_min(1e-12);
  for (const at::Tensor& map : weighted) maps.shares.push_back((map / sum * maps.covered).to(device));
  maps.covered = maps.covered.to(device);
  return maps;
}

double StyleInjection::of_block(const std::vector<double>& numbers, double all, const AttentionSite& site) const {
  if (numbers.empty()) return all;
  const auto& blocks = strength_.decoder_blocks;
  return numbers[static_cast<size_t>(std::find(blocks.begin(), blocks.end(), decoder_block(site.path)) - blocks.begin())];
}

std::optional<kernels::AttentionControl> StyleInjection::control(const AttentionCall& call) {
  if (!is_injected(call.site, strength_.decoder_blocks)) return std::nullopt;
  ++injections_;
  kernels::AttentionControl control;
  const double temperature = of_block(strength_.block_temperatures, strength_.temperature, call.site);
  control.temperature = {temperature};
  control.q_blend = kernels::QueryBlend{content_->at(call.site.path).q, of_block(strength_.block_gammas, strength_.gamma, call.site), {}};
  const double total = std::accumulate(mix_.weights.begin(), mix_.weights.end(), 0.0);
  for (size_t s = 0; s < styles_.size(); ++s) {
    const SiteFeatures& features = styles_[s]->at(call.site.path);
    kernels::Source source;
    source.k = features.k;
    source.v = features.v;
    if (styles_.size() > 1 && !mix_.blend) source.log_weight = std::log(mix_.weights[s] / total);
    if (mix_.blend) control.blend_weight.push_back(mix_.weights[s] / total);
    control.sources.push_back(std::move(source));
  }
  if (mix_.blend) control.combine = kernels::Combine::kBlend;
  if (mix_.masks.empty()) return control;
  const Maps& shares = maps(call.grid_height, call.grid_width, call.q.device());
  kernels::Source own;  // at temperature 1
  own.key_scale = at::full({1, 1, call.k.size(2)}, 1 / temperature, at::TensorOptions().dtype(at::kFloat).device(call.q.device()));
  control.sources.push_back(std::move(own));
  control.blend_weight.clear();
  control.blend_weight_map = shares.shares;
  control.blend_weight_map.push_back(1 - shares.covered);
  control.q_blend->rows = shares.covered;
  return control;
}

}  // namespace attelier
