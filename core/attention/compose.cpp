#include <algorithm>

#include "core/attention/program.h"
#include "core/base/error.h"

namespace attelier {
namespace {

using kernels::AttentionControl;
using kernels::Source;

/// Merges two controls of one call; a field that both set is refused.
class Merge {
 public:
  explicit Merge(const AttentionSite& site) : site_(site) {}

  AttentionControl operator()(AttentionControl a, const AttentionControl& b) const {
    take(a.scale, b.scale, a.scale.has_value(), b.scale.has_value(), "scale");
    a.temperature = product(a.temperature, b.temperature);
    take(a.q_blend, b.q_blend, a.q_blend.has_value(), b.q_blend.has_value(), "q_blend");
    merge_sources(a, b);
    take(a.pair_bias, b.pair_bias, a.pair_bias.defined(), b.pair_bias.defined(), "pair_bias");
    take(a.causal, b.causal, a.causal.has_value(), b.causal.has_value(), "causal");
    const bool a_redistributes = a.class_table || a.visual, b_redistributes = b.class_table || b.visual;
    if (a_redistributes && b_redistributes) refuse("redistribute");
    if (b_redistributes) {
      a.class_table = b.class_table;
      a.visual = b.visual;
    }
    a.probes.insert(a.probes.end(), b.probes.begin(), b.probes.end());
    if (a.probes.size() > kernels::kMaximumProbes)
      fail(ExitCode::kBadInput, "two attention programs ask for {} probes together at {} {}; at most {} are allowed", a.probes.size(), site_.model, site_.path,
           kernels::kMaximumProbes);
    return a;
  }

 private:
  [[noreturn]] void refuse(const char* field) const {
    fail(ExitCode::kBadInput, "two attention programs both set {} at {} {}; let one of them leave it alone there", field, site_.model, site_.path);
  }

  template <typename T>
  void take(T& target, const T& other, bool target_set, bool other_set, const char* field) const {
    if (target_set && other_set) refuse(field);
    if (other_set) target = other;
  }

  std::vector<double> product(std::vector<double> a, std::vector<double> b) const {
    if (a.size() < b.size()) std::swap(a, b);
    if (a.size() != b.size() && b.size() != 1) refuse("temperature (for different numbers of heads)");
    for (size_t h = 0; h < a.size(); ++h) a[h] *= b[b.size() == 1 ? 0 : h];
    return a;
  }

  /// A single source without keys of its own says something about the call's keys; two of those may say different things about them.
  static bool describes_own_keys(const AttentionControl& c) {
    return c.sources.size() == 1 && !c.sources[0].k.defined() && c.sources[0].batch_map.empty() && c.combine == kernels::Combine::kConcat;
  }

  static bool has_gain(const AttentionControl& c) {
    return std::any_of(c.sources.begin(), c.sources.end(), [](const Source& source) { return source.key_gain.defined(); });
  }

  void merge_sources(AttentionControl& a, const AttentionControl& b) const {
    const bool a_blends = a.combine == kernels::Combine::kBlend, b_blends = b.combine == kernels::Combine::kBlend;
    if (has_gain(b)) a.renorm = b.renorm;
    if (!b_blends && b.sources.empty()) return;
    if (!a_blends && a.sources.empty()) {
      a.sources = b.sources;
      a.combine = b.combine;
      a.blend_weight = b.blend_weight;
      a.blend_weight_map = b.blend_weight_map;
      return;
    }
    if (!describes_own_keys(a) || !describes_own_keys(b)) refuse(a_blends && b_blends ? "combine" : "sources");
    merge_own_keys(a.sources[0], b.sources[0]);
  }

  void merge_own_keys(Source& a, const Source& b) const {
    take(a.log_weight, b.log_weight, a.log_weight != 0, b.log_weight != 0, "log_weight");
    const auto take_tensor = [this](at::Tensor& target, const at::Tensor& other, const char* field) { take(target, other, target.defined(), other.defined(), field); };
    take_tensor(a.log_weight_rows, b.log_weight_rows, "log_weight");
    take_tensor(a.key_bias, b.key_bias, "key_bias");
    take_tensor(a.key_scale, b.key_scale, "key_scale");
    take_tensor(a.key_gain, b.key_gain, "key_gain");
    take_tensor(a.key_class, b.key_class, "key_class");
  }

  const AttentionSite& site_;
};

class Composition : public AttentionProgram {
 public:
  Composition(std::shared_ptr<AttentionProgram> a, std::shared_ptr<AttentionProgram> b) : a_(std::move(a)), b_(std::move(b)) {}

  std::optional<AttentionControl> control(const AttentionCall& call) override {
    std::optional<AttentionControl> a = a_->control(call), b = b_->control(call);
    a_answered_ = a.has_value();
    b_answered_ = b.has_value();
    a_probes_ = a ? a->probes.size() : 0;
    if (a && b) return Merge(call.site)(std::move(*a), *b);
    return a ? a : b;
  }

  /// Follows the control() of the same call, so the counts are those of this call.
  void observe(const AttentionCall& call, const kernels::AttentionResult& result) override {
    const auto border = result.probes.begin() + static_cast<std::ptrdiff_t>(a_probes_);
    if (a_answered_) a_->observe(call, {result.o, result.lse, {result.probes.begin(), border}});
    if (b_answered_) b_->observe(call, {result.o, result.lse, {border, result.probes.end()}});
  }

 private:
  std::shared_ptr<AttentionProgram> a_, b_;
  bool a_answered_ = false, b_answered_ = false;
  size_t a_probes_ = 0;
};

}  // namespace

std::shared_ptr<AttentionProgram> compose(std::shared_ptr<AttentionProgram> a, std::shared_ptr<AttentionProgram> b) {
  if (a == nullptr) return b;
  if (b == nullptr) return a;
  return std::make_shared<Composition>(std::move(a), std::move(b));
}

}  // namespace attelier
