// BiFormer (Zhu et al. 2023, arXiv 2303.08810): bi-level routing attention. The map is cut into regions; each region chooses the topk regions whose mean keys
// fit its mean query best, and its cells attend to all cells of those. The authors' classes BiFormer, BiFormer_mm, BiFormerSTL and nchwBiFormerSTL.
#pragma once

#include <array>

#include "core/models/backbones/backbone.h"

namespace attelier {

enum class BiFormerForm {
  kBiFormer,  // T, S, B, and with extra_norms the backbone of detection and segmentation
  kStl,       // Swin's layout, the first implementation of the attention
  kStlNchw,   // Swin's layout, the second: pads after the projection, regions by size
};

/// What may be changed on trained weights.
struct BiFormerRouting {
  enum class Choice { kLearned, kSelf /* plain windows */, kAll /* dense */ };
  std::vector<int64_t> n_win;  // of each stage: regions along each side
  std::vector<int64_t> topks;  // of each stage: regions that each region attends; -1 and -2: dense attention, which the weights decide
  bool auto_pad = false;       // maps that n_win does not divide get zeros on the right and below; kStlNchw always pads, kStl never does
  Choice choice = Choice::kLearned;
};

/// config.json: the constructor's arguments under the authors' names.
struct BiFormerConfig {
  BiFormerForm form = BiFormerForm::kBiFormer;
  int64_t in_chans = 3, num_classes = 1000;  // 0 classes: no head
  int64_t img_size = 224;           // what it was made for; other sizes work too
  std::vector<int64_t> depth, embed_dim, qk_dims, hidden;  // of each of the four stages; hidden: int(mlp_ratios * embed_dim)
  std::vector<double> mlp_ratios;
  int64_t head_dim = 32;            // of queries and keys, where regions are routed
  std::optional<double> qk_scale;   // there; default qk_dim^-0.5, the width of all heads
  int64_t side_dwconv = 5;          // kernel of the depthwise convolution beside the attention; 0: none
  int64_t before_attn_dwconv = 3;   // likewise before it; 3 or 0
  bool extra_norms = false;         // a norm after each stage, neither norm nor head at the end
  BiFormerRouting routing;

  /// "architecture": biformer, biformer_mm (extra_norms), biformer_stl or biformer_stl_nchw. Absent arguments have the constructor's defaults, but where
  /// those are unusable the released models' (kv_downsample_mode identity, norm_layer BatchNorm2d, qk_dims = embed_dim, head_dim 32). n_win and n_wins are
  /// one number or four. Arguments of regularisation and of checkpointing are ignored. Refused: kv_downsample_mode other than identity, param_routing,
  /// diff_routing, soft_routing, param_attention other than qkvo, layer scale, post norm, mlp_dwconv, pe, representation_size, topk 0, other norm_layers.
  /// Throws Error(kModel), all complaints at once.
  static BiFormerConfig from_json(const nlohmann::json& config);
  nlohmann::json to_json() const;
};

/// Which regions attend to which.
struct Routes {
  at::Tensor index;   // i64 [B,R,topk], best first; equal ones by number
  at::Tensor logits;  // f32 [B,R,R]
};

/// The regions of n_win x n_win over a map. kStlNchw cuts by size, side / n_win cells, and may need more than n_win of them. Throws
/// std::invalid_argument for maps that are too small or, in the other forms, not divisible.
kernels::RegionGrid biformer_grid(BiFormerForm form, int64_t rows, int64_t columns, int64_t n_win);

/// Logits scale mean(q) mean(k)^T over the regions of q and k [B,rows,columns,C], in float32; cells beyond the map do not count. Without gradients.
Routes route_regions(const at::Tensor& q, const at::Tensor& k, const kernels::RegionGrid& grid, int64_t topk, double scale);

/// One query of one block: cell (row, column) of the stage's map.
struct AttentionQuery {
  int64_t stage = 2, block = 0, row = 0, column = 0;
};

struct BiFormerPass;

class BiFormer : public Backbone {
 public:
  explicit BiFormer(const BiFormerConfig& config);
  ~BiFormer() override;

  /// Records, for each block that routes: routes.STAGE.BLOCK i64 [B,R,topk], route_logits.STAGE.BLOCK f32 [B,R,R], route_grid.STAGE.BLOCK i64 [4]: rows and
  /// columns of regions, rows and columns of cells in each.
  BackboneOutputs forward(const at::Tensor& image, const ForwardContext& context, bool with_records = false) const override;
  double multiply_adds(int64_t height, int64_t width) const override;
  int64_t picture_size() const override { return config_.img_size; }

  /// What one query attends to: f32 [B,H,rows,columns], which sum to 1 (less what lies on padding); exactly 0 outside the routed regions. Throws
  /// Error(kBadInput) for a query that is not there.
  at::Tensor attention_of(const at::Tensor& image, const ForwardContext& context, const AttentionQuery& query) const;

  const BiFormerConfig& config() const { return config_; }
  /// Throws Error(kBadInput) for impossible values, and where dense stages would change.
  void set_routing(const BiFormerRouting& routing);
  /// The sides of the stages' maps, [4][2]. Throws Error(kBadInput) for pictures that the model does not take.
  std::vector<std::array<int64_t, 2>> map_sizes(int64_t height, int64_t width) const;

 private:
  struct Layers;
  /// The map after each stage, [B,h,w,C].
  std::vector<at::Tensor> stages(const at::Tensor& image, const BiFormerPass& pass) const;

  BiFormerConfig config_;
  std::unique_ptr<Layers> layers_;
};

std::unique_ptr<Backbone> make_biformer(const nlohmann::json& config);

}  // namespace attelier
