#include "pipelines/attention_edits.h"

#include <fmt/ranges.h>

#include "core/base/error.h"

namespace attelier {

ParameterDescription attention_parameter() {
  return {.name = "attention",
          .label = "Attention edits",
          .help = "Words, heads and places that attention hears more or less: \"house=0\", \"tree=2 steps:0-9\", \"sun=3 within:0/0/0.5/0.5\", \"*=0 heads:1 site:mid_block*\".",
          .type = ParameterType::kTexts,
          .default_value = Json::array()};
}

std::shared_ptr<EditProgram> make_edit_program(const Json& texts, const Tokenizer& tokenizer, const PromptTokens& prompt) {
  std::vector<AttentionEdit> edits;
  for (const Json& text : texts) {
    const std::string pointer = fmt::format("/params/attention/{}", edits.size());
    AttentionEdit edit = parse_attention_edit(text, pointer);
    if (!edit.phrase.empty()) {
      edit.tokens = find_phrase(tokenizer, prompt, edit.phrase);
      if (edit.tokens.empty()) {
        std::vector<std::string> words;
        for (const PromptWord& word : prompt_words(tokenizer, prompt)) words.push_back(word.text);
        fail(ExitCode::kBadInput, "{}: \"{}\" is not in the prompt; its words are: {}", pointer, edit.phrase, words.empty() ? "none" : fmt::format("{}", fmt::join(words, " ")));
      }
    }
    if (prompt.ids.size() > 1 && edit.acts_in_text())
      fail(ExitCode::kBadInput, "{}: \"{}\" acts in the text encoder, which reads this long prompt in {} parts; shorten the prompt, or leave site: away", pointer, edit.text, prompt.ids.size());
    edits.push_back(std::move(edit));
  }
  return edits.empty() ? nullptr : std::make_shared<EditProgram>(std::move(edits));
}

}  // namespace attelier
