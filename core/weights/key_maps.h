// The two spellings of diffusion models: the authors' (CompVis, Stability's sgm, ControlNet's repository) and diffusers', as tables of block names.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/weights/tensor_file.h"

namespace attelier {

/// Sorted names of tensors or modules, asked by their beginnings.
using NameSet = std::set<std::string, std::less<>>;
NameSet names_of(const std::map<std::string, TensorInfo>& tensors, std::string_view prefix = "");
bool any_starts_with(const NameSet& names, std::string_view prefix);

/// What the block names of a UNet depend on.
struct UNetStructure {
  size_t layers = 2;  // ResNets per level of the down path
  std::vector<bool> down_attention, up_attention;  // one per level; no up path: a ControlNet

  /// From names such as input_blocks.4.1.proj_in.weight (without the prefix model.diffusion_model.).
  static UNetStructure from_original(const NameSet& names);
  /// From names such as down_blocks.1.attentions.0.proj_in[.weight].
  static UNetStructure from_diffusers(const NameSet& names);
};

/// The names inside a block that differ.
enum class BlockKind { kPlain, kUNetResnet, kVaeResnet, kVaeAttention };

struct BlockName {
  std::string original, diffusers;
  BlockKind kind = BlockKind::kPlain;
};

/// Paths translate block by block: the longest known block at the beginning, then what is inside it. Works for tensors and for modules.
class KeyMap {
 public:
  explicit KeyMap(std::vector<BlockName> blocks);
  /// Nothing if no block of the table begins the name.
  std::optional<std::string> to_diffusers(std::string_view name) const;
  std::optional<std::string> to_original(std::string_view name) const;

 private:
  std::vector<BlockName> blocks_;
  std::map<std::string, size_t, std::less<>> by_original_, by_diffusers_;
};

/// UNet2DConditionModel; with `conditioning_layers` > 0 a ControlNet whose picture passes that many convolutions.
KeyMap unet_key_map(const UNetStructure& structure, size_t conditioning_layers = 0);
/// AutoencoderKL. The authors number the decoder's levels from the finest.
KeyMap vae_key_map(size_t levels, size_t layers);

}  // namespace attelier
