// An artist's hand on attention: words, heads and places that are heard more, less or not at all. One line of text each:
//
//   PHRASE=GAIN [steps:A-B] [heads:A+B] [site:PATTERN] [within:LEFT/TOP/RIGHT/BOTTOM]
//
//   red house=0                        a phrase of the prompt, muted
//   tree=2 steps:0-9                   attended twice as much in the first ten steps
//   tree=3 within:0/0.5/0.5/1          by the lower left quarter of the picture alone
//   tree=0 site:text_encoder*:*        the other words of the prompt do not hear it
//   *=0 heads:0+3 site:mid_block.*     two heads of a layer, silenced
//   *=0.2 within:0.4/0.4/0.6/0.6       a place that the rest of the picture looks at less
//
// What happens, in the terms of kernels/attention.h:
//   words   cross-attention of rows with the prompt: key_gain on the phrase's tokens, sums not restored (Hertz et al. 2022, "Prompt-to-Prompt", 3.3)
//   words in the text encoder   key_bias = ln(gain) on the phrase's tokens: what it means to others, which else carry it into the picture
//   words within a place   the same for queries there, mixed in by the share of a cell that lies within
//   heads   key_gain on every key of these heads, of self- and cross-attention: the head's output, scaled
//   places  self-attention: key_bias = ln(gain) on the keys there, so that others get what these lose
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "core/attention/program.h"

namespace attelier {

struct AttentionEdit {
  std::string text;                           // as written
  std::string phrase;                         // "" = all tokens
  double gain = 1;                            // 0 to 100
  int64_t first_step = 0, last_step = std::numeric_limits<int64_t>::max();
  std::vector<int64_t> heads;                 // empty = all
  std::string site = "*";                     // site_pattern.h
  std::optional<std::array<double, 4>> within;  // left, top, right, bottom, in shares of the picture
  std::vector<int64_t> tokens;                // the phrase's places among the keys of cross-attention; whoever knows the prompt fills them in

  /// Its site begins with "text_encoder".
  bool acts_in_text() const;
};

/// Throws Error(kBadInput) starting with `pointer`.
AttentionEdit parse_attention_edit(const std::string& text, const std::string& pointer);
std::string to_string(const AttentionEdit& edit);

/// Carries edits out: in a UNet, and in text encoders where acts_in_text(). At one site and step at most three words within places.
class EditProgram : public AttentionProgram {
 public:
  explicit EditProgram(std::vector<AttentionEdit> edits) : edits_(std::move(edits)), used_(edits_.size()) {}
  std::optional<kernels::AttentionControl> control(const AttentionCall& call) override;
  /// Texts of the edits that no call has met: their site, heads or steps do not exist in this run.
  std::vector<std::string> unused() const;

 private:
  std::vector<AttentionEdit> edits_;
  std::vector<char> used_;
};

}  // namespace attelier
