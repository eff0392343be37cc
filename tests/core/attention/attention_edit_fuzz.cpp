// Any text as an attention edit: refused with Error(kBadInput), or it means the same after it was written out and read again, and the program it makes acts
// or stays silent without a crash on a small call of either kind of attention.
#include <c10/core/InferenceMode.h>

#include <cstdlib>

#include "core/attention/attention_edit.h"
#include "core/base/error.h"

namespace attelier {
namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void run(AttentionEdit edit) {
  edit.tokens = {1, 2, 99};
  EditProgram program({std::move(edit)});
  for (const AttentionKind kind : {AttentionKind::kCross, AttentionKind::kSelf}) {
    const AttentionSite site{"unet", "up_blocks.1.attentions.0.transformer_blocks.0.attn1", 14, kind, 2, 4};
    const int64_t keys = kind == AttentionKind::kSelf ? 6 : 5;
    const at::Tensor q = at::ones({2, 2, 6, 4}), k = at::ones({2, 2, keys, 4});
    ForwardContext context;
    context.program = &program;
    context.rows = {{Row::Branch::kUnconditional, 0}, {Row::Branch::kConditional, 0}};
    require(at::isfinite(attend(site, q, k, k, context, 2, 3)).all().item<bool>());
  }
}

}  // namespace
}  // namespace attelier

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace attelier;
  const c10::InferenceMode inference;
  try {
    const AttentionEdit edit = parse_attention_edit({reinterpret_cast<const char*>(data), size}, "/params/attention/0");
    const AttentionEdit again = parse_attention_edit(to_string(edit), "");
    require(again.phrase == edit.phrase && again.gain == edit.gain && again.first_step == edit.first_step && again.last_step == edit.last_step && again.heads == edit.heads &&
            again.site == edit.site && again.within == edit.within);
    run(edit);
  } catch (const Error& error) {
    require(error.code() == ExitCode::kBadInput);
  }
  return 0;
}
