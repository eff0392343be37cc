// Attention edits of a job, tied to its prompt.
#pragma once

#include <memory>

#include "core/attention/attention_edit.h"
#include "core/base/parameters.h"
#include "core/text/prompt_tokens.h"

namespace attelier {

/// The description of the parameter "attention".
ParameterDescription attention_parameter();

/// The program of `texts` (the parameter's value), whose phrases are looked for in the prompt; null where there are none. Throws Error(kBadInput).
std::shared_ptr<EditProgram> make_edit_program(const Json& texts, const Tokenizer& tokenizer, const PromptTokens& prompt);

}  // namespace attelier
