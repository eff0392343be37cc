#include "core/attention/attention_edit.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include "core/attention/site_pattern.h"
#include "core/base/error.h"

namespace attelier {
namespace {

using kernels::AttentionControl;

constexpr double kLargestGain = 100;
constexpr std::string_view kTextEncoder = "text_encoder";

template <typename Number>
std::optional<Number> read(std::string_view text) {
  Number value{};
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if constexpr (std::is_floating_point_v<Number>)
    if (!std::isfinite(value)) return std::nullopt;
  return value;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\n"), last = text.find_last_not_of(" \t\n");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

class EditReader {
 public:
  EditReader(const std::string& text, std::string pointer) : pointer_(std::move(pointer)) { edit_.text = trimmed(text); }

  AttentionEdit operator()() {
    const size_t equals = edit_.text.rfind('=');
    if (equals == std::string::npos) refuse("has no \"=GAIN\"; write for instance \"house=0\" or \"tree=1.5 steps:0-9\"");
    edit_.phrase = trimmed(edit_.text.substr(0, equals));
    if (edit_.phrase.empty()) refuse("names no words before \"=\"; write words of the prompt, or * for all");
    if (edit_.phrase == "*") edit_.phrase.clear();
    const std::vector<std::string> words = split(edit_.text.substr(equals + 1), ' ');
    bool has_gain = false;
    for (const std::string& word : words) {
      if (word.empty()) continue;
      if (std::exchange(has_gain, true)) read_option(word);
      else read_gain(word);
    }
    if (!has_gain) refuse(fmt::format("has no number after \"=\"; allowed is 0 (muted) to {}", kLargestGain));
    if (edit_.phrase.empty() && edit_.heads.empty() && !edit_.within) refuse("would scale everything; name words, heads:, or within:");
    if (edit_.phrase.empty() && !edit_.heads.empty() && edit_.within) refuse("names heads: and within:, but no words; a place without words holds for all heads");
    return std::move(edit_);
  }

 private:
  [[noreturn]] void refuse(const std::string& problem) const { fail(ExitCode::kBadInput, "{}: the attention edit \"{}\" {}", pointer_, edit_.text, problem); }

  void read_gain(const std::string& word) {
    const std::optional<double> gain = read<double>(word);
    if (!gain || !(*gain >= 0 && *gain <= kLargestGain)) refuse(fmt::format("has the gain \"{}\"; allowed is 0 (muted) to {}", word, kLargestGain));
    edit_.gain = *gain;
  }

  void read_option(const std::string& word) {
    const size_t colon = word.find(':');
    const std::string name = word.substr(0, colon), value = colon == std::string::npos ? "" : word.substr(colon + 1);
    if (name == "steps") read_steps(value);
    else if (name == "heads") read_heads(value);
    else if (name == "site" && !value.empty()) edit_.site = value;
    else if (name == "within") read_place(value);
    else refuse(fmt::format("ends with \"{}\"; after the gain there may be steps:A-B, heads:A+B, site:PATTERN and within:LEFT/TOP/RIGHT/BOTTOM", word));
  }

  void read_steps(const std::string& value) {
    const size_t dash = value.find('-');
    const auto first = read<int64_t>(value.substr(0, dash)), last = dash == std::string::npos ? first : read<int64_t>(value.substr(dash + 1));
    if (!first || !last || *first < 0 || *last < *first) refuse(fmt::format("has steps:{}; write steps:A-B, counted from 0, A no later than B", value));
    edit_.first_step = *first;
    edit_.last_step = *last;
  }

  void read_heads(const std::string& value) {
    for (const std::string& part : split(value, '+')) {
      const auto head = read<int64_t>(part);
      if (!head || *head < 0) refuse(fmt::format("has heads:{}; write numbers from 0, joined by +", value));
      edit_.heads.push_back(*head);
    }
    if (edit_.heads.empty()) refuse("has heads: without numbers; write heads:0 or heads:0+3");
  }

  void read_place(const std::string& value) {
    const std::vector<std::string> parts = split(value, '/');
    std::array<double, 4> box{};
    bool right = parts.size() == 4;
    for (size_t i = 0; right && i < 4; ++i) {
      const auto share = read<double>(parts[i]);
      right = share && *share >= 0 && *share <= 1;
      if (right) box[i] = *share;
    }
    if (!right || box[0] >= box[2] || box[1] >= box[3])
      refuse(fmt::format("has within:{}; write within:LEFT/TOP/RIGHT/BOTTOM in shares of the picture from 0 to 1, left before right and top above bottom", value));
    edit_.within = box;
  }

  std::string pointer_;
  AttentionEdit edit_;
};

/// Share of each of `cells` equal cells of [0, 1] that lies between two places.
at::Tensor overlap(int64_t cells, double from, double to) {
  const at::Tensor share = at::empty({cells}, at::kFloat);
  for (int64_t i = 0; i < cells; ++i) {
    const double n = static_cast<double>(cells), low = std::max(from * n, static_cast<double>(i)), high = std::min(to * n, static_cast<double>(i + 1));
    share[i] = std::max(0.0, high - low);
  }
  return share;
}

/// Share of each token that lies within, f32 [tokens].
at::Tensor coverage(const AttentionCall& call, const std::array<double, 4>& box) {
  return at::outer(overlap(call.grid_height, box[1], box[3]), overlap(call.grid_width, box[0], box[2])).reshape(-1);
}

/// Factors of keys, f32 [B, H, Lk], 1 unless edits say otherwise.
class Gains {
 public:
  explicit Gains(const AttentionCall& call) : call_(call) {}

  void multiply(const AttentionEdit& edit) {
    if (!gains_.defined()) gains_ = at::ones({call_.q.size(0), call_.q.size(1), call_.k.size(2)}, at::kFloat);
    at::Tensor part = gains_;
    if (!edit.heads.empty()) {
      std::vector<int64_t> heads;
      std::copy_if(edit.heads.begin(), edit.heads.end(), std::back_inserter(heads), [&](int64_t head) { return head < call_.q.size(1); });
      for (const int64_t head : heads) scale(gains_.select(1, head), edit);
    } else {
      scale(part, edit);
    }
  }
  bool defined() const { return gains_.defined(); }
  at::Tensor clone() const { return gains_.defined() ? gains_.clone() : gains_; }
  at::Tensor tensor() const { return gains_.defined() ? gains_.to(call_.q.device()) : gains_; }
  void set(at::Tensor gains) { gains_ = std::move(gains); }

 private:
  /// `part` [B, Lk] or [B, H, Lk].
  void scale(const at::Tensor& part, const AttentionEdit& edit) const {
    if (edit.tokens.empty()) {
      part.mul_(edit.gain);
      return;
    }
    for (int64_t b = 0; b < part.size(0); ++b) {
      if (static_cast<size_t>(b) < call_.rows.size() && call_.rows[static_cast<size_t>(b)].branch != Row::Branch::kConditional) continue;
      for (const int64_t token : edit.tokens)
        if (token < call_.k.size(2)) part[b].select(-1, token).mul_(edit.gain);
    }
  }

  const AttentionCall& call_;
  at::Tensor gains_;
};

bool applies(const AttentionEdit& edit, const AttentionCall& call) {
  const bool has_words = !edit.phrase.empty();
  const AttentionKind kind = call.site.kind;
  if (call.step < edit.first_step || call.step > edit.last_step || !matches(edit.site, call.site)) return false;
  if (kind == AttentionKind::kText) {
    if (!has_words || !edit.acts_in_text()) return false;
  } else if (has_words ? kind != AttentionKind::kCross : kind != AttentionKind::kCross && kind != AttentionKind::kSelf) return false;
  if (edit.within && (call.grid_height == 0 || (!has_words && kind != AttentionKind::kSelf))) return false;
  return edit.heads.empty() || std::any_of(edit.heads.begin(), edit.heads.end(), [&](int64_t head) { return head < call.q.size(1); });
}

}  // namespace

bool AttentionEdit::acts_in_text() const { return site.starts_with(kTextEncoder); }

AttentionEdit parse_attention_edit(const std::string& text, const std::string& pointer) { return EditReader(text, pointer)(); }

std::string to_string(const AttentionEdit& edit) {
  std::string text = fmt::format("{}={}", edit.phrase.empty() ? "*" : edit.phrase, edit.gain);
  if (edit.first_step != 0 || edit.last_step != std::numeric_limits<int64_t>::max()) text += fmt::format(" steps:{}-{}", edit.first_step, edit.last_step);
  if (!edit.heads.empty()) text += fmt::format(" heads:{}", fmt::join(edit.heads, "+"));
  if (edit.site != "*") text += " site:" + edit.site;
  if (edit.within) text += fmt::format(" within:{}", fmt::join(*edit.within, "/"));
  return text;
}

std::optional<AttentionControl> EditProgram::control(const AttentionCall& call) {
  AttentionControl control;
  Gains gains(call);
  at::Tensor bias;  // [1, 1, Lk]
  std::vector<const AttentionEdit*> placed;
  for (size_t i = 0; i < edits_.size(); ++i) {
    const AttentionEdit& edit = edits_[i];
    if (!applies(edit, call)) continue;
    used_[i] = 1;
    if (edit.within && edit.phrase.empty()) {
      const at::Tensor logarithm = ((edit.gain - 1) * coverage(call, *edit.within) + 1).log().view({1, 1, -1}).to(call.q.device());
      bias = bias.defined() ? bias + logarithm : logarithm;
    } else if (edit.within) {
      placed.push_back(&edit);
    } else {
      gains.multiply(edit);
    }
  }
  if (!gains.defined() && !bias.defined() && placed.empty()) return std::nullopt;
  if (call.site.kind == AttentionKind::kText) {
    control.sources.emplace_back().key_bias = gains.tensor().log();
    return control;
  }
  kernels::Source everywhere;
  everywhere.key_gain = gains.tensor();
  everywhere.key_bias = bias;
  control.sources = {everywhere};
  if (placed.empty()) return control;
  if (placed.size() >= kernels::kMaximumSources)
    fail(ExitCode::kBadInput, "{} attention edits name words within places at {} step {}; at most {} can act together, so give them other steps or sites", placed.size(), call.site.path,
         call.step, kernels::kMaximumSources - 1);
  // O = O_everywhere + sum_i m_i (O_i - O_everywhere): every place mixes in what its own gains give.
  control.combine = kernels::Combine::kBlend;
  at::Tensor rest = at::ones({1, call.q.size(2)}, at::kFloat);
  for (const AttentionEdit* edit : placed) {
    Gains own(call);
    own.set(gains.clone());
    own.multiply(*edit);
    kernels::Source source = everywhere;
    source.key_gain = own.tensor();
    control.sources.push_back(source);
    const at::Tensor weight = coverage(call, *edit->within).view({1, -1});
    rest = rest - weight;
    control.blend_weight_map.push_back(weight.to(call.q.device()));
  }
  control.blend_weight_map.insert(control.blend_weight_map.begin(), rest.to(call.q.device()));
  return control;
}

std::vector<std::string> EditProgram::unused() const {
  std::vector<std::string> texts;
  for (size_t i = 0; i < edits_.size(); ++i)
    if (used_[i] == 0) texts.push_back(edits_[i].text);
  return texts;
}

}  // namespace attelier
