#include "core/models/backbones/biformer.h"

#include <c10/core/GradMode.h>

#include <cmath>
#include <deque>
#include <limits>
#include <stdexcept>

#include "core/base/error.h"
#include "core/nn/layers.h"

namespace attelier {

/// What one pass through the layers carries.
struct BiFormerPass {
  const ForwardContext& context;
  const AttentionForms& forms;
  bool training = false;
  BackboneOutputs* records = nullptr;     // gets them
  const AttentionQuery* query = nullptr;  // whose weights go to
  at::Tensor* weights = nullptr;
};

namespace {

constexpr double kNormEpsilon = 1e-6;
constexpr int64_t kDenseHeads = 8;

at::Tensor channels_first(const at::Tensor& x) { return x.permute({0, 3, 1, 2}); }
at::Tensor channels_last(const at::Tensor& x) { return x.permute({0, 2, 3, 1}); }

/// [B,rows,columns,H*D] -> [B,H,rows,columns,D], a view.
at::Tensor by_head(const at::Tensor& map, int64_t heads) { return map.unflatten(3, {heads, -1}).permute({0, 3, 1, 2, 4}); }

/// GELU; in inference in place: the hidden layer is the largest tensor of a block.
at::Tensor activate(at::Tensor x) { return x.requires_grad() ? at::gelu(x) : at::gelu_(x); }

nn::ConvolutionOptions depthwise(int64_t channels, int64_t kernel) { return {.padding = kernel / 2, .groups = channels}; }

/// softmax over the cells of a map that `visible` (undefined: all) shows: logits [B,H,rows,columns] in float32.
at::Tensor map_softmax(const at::Tensor& logits, const at::Tensor& visible) {
  const at::Tensor kept = visible.defined() ? logits.masked_fill(visible.logical_not(), -std::numeric_limits<double>::infinity()) : logits;
  return at::softmax(kept.flatten(2), 2).view(logits.sizes());
}

/// The logits of one query [B,H,D] with all keys [B,H,rows,columns,D].
at::Tensor query_logits(const at::Tensor& q, const at::Tensor& k, double scale) {
  return at::einsum("bhd,bhyxd->bhyx", {q.to(at::kFloat) * scale, k.to(at::kFloat)});
}

/// Attention of the regions that each region chooses (the authors' bra_legacy.py and, for kStlNchw, bra_nchw.py).
struct RoutedAttention : nn::Module {
  RoutedAttention(const BiFormerConfig& c, size_t stage, int64_t number)
      : form(c.form),
        stage_index(static_cast<int64_t>(stage)),
        block_index(number),
        qk_width(c.qk_dims[stage]),
        heads(c.qk_dims[stage] / c.head_dim),
        scale(c.qk_scale.value_or(1 / std::sqrt(static_cast<double>(qk_width)))),
        qkv(c.embed_dim[stage], 2 * qk_width + c.embed_dim[stage]),
        out(c.embed_dim[stage], c.embed_dim[stage]) {
    const bool second = form == BiFormerForm::kStlNchw;
    if (c.side_dwconv > 0) add("lepe", lepe.emplace(c.embed_dim[stage], c.embed_dim[stage], c.side_dwconv, depthwise(c.embed_dim[stage], c.side_dwconv)));
    add(second ? "qkv_linear" : "qkv.qkv", qkv);
    add(second ? "output_linear" : "wo", out);
  }

  /// x and residual [B,rows,columns,C].
  at::Tensor forward(const at::Tensor& x, const at::Tensor& residual, const BiFormerRouting& routing, const BiFormerPass& pass) const {
    const int64_t rows = x.size(1), columns = x.size(2), n_win = routing.n_win[stage_index];
    // The first implementation pads before the projection, so that what is padded has the biases as query, key and value, all of which count.
    const auto missing = [&](int64_t side) { return form == BiFormerForm::kBiFormer && routing.auto_pad ? (n_win - side % n_win) % n_win : 0; };
    const bool pads = missing(rows) + missing(columns) > 0;
    const at::Tensor projected = qkv.forward(pads ? at::constant_pad_nd(x, {0, 0, 0, missing(columns), 0, missing(rows)}) : x);
    const at::Tensor q = projected.slice(3, 0, qk_width), k = projected.slice(3, qk_width, 2 * qk_width), v = projected.slice(3, 2 * qk_width);
    kernels::RegionAttention attention;
    attention.grid = biformer_grid(form, projected.size(1), projected.size(2), n_win);
    attention.scale = scale;
    attention.index = choose(q, k, attention.grid, routing, pass);
    watch(q, k, attention, rows, columns, pass);
    at::Tensor o = pass.forms.attend_regions(by_head(q, heads), by_head(k, heads), by_head(v, heads), attention).permute({0, 2, 3, 1, 4}).flatten(3);
    if (lepe) o = channels_last(lepe->forward(channels_first(v), channels_first(o)));
    if (pads) o = o.slice(1, 0, rows).slice(2, 0, columns);
    return out.forward(o, residual);
  }

  double multiply_adds(int64_t rows, int64_t columns, const BiFormerRouting& routing) const {
    const int64_t n_win = routing.n_win[stage_index];
    const auto padded = [&](int64_t side) { return form == BiFormerForm::kBiFormer && routing.auto_pad ? (side + n_win - 1) / n_win * n_win : side; };
    const kernels::RegionGrid grid = biformer_grid(form, padded(rows), padded(columns), n_win);
    const auto cells = static_cast<double>(padded(rows) * padded(columns)), regions = static_cast<double>(grid.regions()),
               width = static_cast<double>(out.weight.shape[0]), qk = static_cast<double>(qk_width);
    const double keys = static_cast<double>(routing.topks[stage_index] * grid.cells());
    const double side = lepe ? cells * width * static_cast<double>(lepe->weight.shape[2] * lepe->weight.shape[3]) : 0;
    return cells * width * (2 * qk + width) + cells * keys * (qk + width) + regions * regions * qk + side + static_cast<double>(rows * columns) * width * width;
  }

 private:
  /// [B|1,1,R,N]
  at::Tensor choose(const at::Tensor& q, const at::Tensor& k, const kernels::RegionGrid& grid, const BiFormerRouting& routing, const BiFormerPass& pass) const {
    const int64_t regions = grid.regions();
    const at::Tensor every = at::arange(regions, at::TensorOptions().dtype(at::kLong).device(q.device()));
    if (routing.choice == BiFormerRouting::Choice::kSelf && pass.records == nullptr) return every.view({1, 1, regions, 1});
    if (routing.choice == BiFormerRouting::Choice::kAll && pass.records == nullptr) return every.expand({1, 1, regions, regions});
    // The second implementation does not scale its logits; the choice is the same.
    Routes routes = route_regions(q, k, grid, routing.topks[stage_index], form == BiFormerForm::kStlNchw ? 1 : scale);
    if (routing.choice == BiFormerRouting::Choice::kSelf) routes.index = every.view({1, regions, 1}).repeat({q.size(0), 1, 1});
    if (routing.choice == BiFormerRouting::Choice::kAll) routes.index = every.repeat({q.size(0), regions, 1});
    if (pass.records != nullptr) {
      const std::string block = fmt::format("{}.{}", stage_index, block_index);
      pass.records->records.emplace_back("routes." + block, routes.index);
      pass.records->records.emplace_back("route_logits." + block, routes.logits);
      pass.records->records.emplace_back("route_grid." + block, at::tensor({grid.rows, grid.columns, grid.height, grid.width}, at::kLong));
    }
    return routes.index.unsqueeze(1);
  }

  void watch(const at::Tensor& q, const at::Tensor& k, const kernels::RegionAttention& attention, int64_t rows, int64_t columns,
             const BiFormerPass& pass) const {
    const AttentionQuery* query = pass.query;
    if (query == nullptr || query->stage != stage_index || query->block != block_index) return;
    const kernels::RegionGrid& grid = attention.grid;
    const int64_t region = query->row / grid.height * grid.columns + query->column / grid.width, batches = q.size(0);
    const at::Tensor chosen = attention.index.squeeze(1).expand({batches, -1, -1}).select(1, region);  // [B,N]
    const at::Tensor regions = at::zeros({batches, grid.regions()}, chosen.options().dtype(at::kBool)).scatter(1, chosen, true);
    const at::Tensor visible = regions.view({batches, 1, grid.rows, 1, grid.columns, 1})
                                   .expand({batches, 1, grid.rows, grid.height, grid.columns, grid.width})
                                   .reshape({batches, 1, grid.rows * grid.height, grid.columns * grid.width});
    at::Tensor logits = query_logits(by_head(q, heads).select(2, query->row).select(2, query->column), by_head(k, heads), scale);
    logits = at::constant_pad_nd(logits, {0, visible.size(3) - logits.size(3), 0, visible.size(2) - logits.size(2)});  // keys of zeros beyond the map
    *pass.weights = map_softmax(logits, visible).slice(2, 0, rows).slice(3, 0, columns);
  }

  BiFormerForm form;
  int64_t stage_index, block_index, qk_width, heads;
  double scale;
  nn::Linear qkv, out;
  std::optional<nn::Conv2d> lepe;
};

/// Attention of all cells (AttentionLePE, Attention and nchwAttentionLePE).
struct DenseAttention : nn::Module {
  /// What the depthwise convolution reads: the block's normalised input (topk -2) or, in the second implementation, the values.
  enum class Side { kNone, kInput, kValues };

  DenseAttention(const BiFormerConfig& c, size_t stage, int64_t number, AttentionSite address)
      : site(std::move(address)),
        stage_index(static_cast<int64_t>(stage)),
        block_index(number),
        qkv(c.embed_dim[stage], 3 * c.embed_dim[stage], false),
        proj(c.embed_dim[stage], c.embed_dim[stage]) {
    if (c.form == BiFormerForm::kStlNchw) side = Side::kValues;
    else if (c.routing.topks[stage] == -2) side = Side::kInput;
    // The classes with the second implementation do not pass the kernel on.
    const int64_t kernel = side == Side::kValues ? 5 : c.side_dwconv;
    if (kernel == 0) side = Side::kNone;
    add("qkv", qkv);
    add("proj", proj);
    if (side != Side::kNone) add("lepe", lepe.emplace(c.embed_dim[stage], c.embed_dim[stage], kernel, depthwise(c.embed_dim[stage], kernel)));
  }

  at::Tensor forward(const at::Tensor& x, const at::Tensor& residual, const BiFormerPass& pass) const {
    const int64_t rows = x.size(1), columns = x.size(2), width = x.size(3);
    const at::Tensor projected = qkv.forward(x);
    const auto tokens = [&](int64_t which) {
      return projected.slice(3, which * width, (which + 1) * width).flatten(1, 2).unflatten(2, {site.heads, site.head_width}).transpose(1, 2);
    };
    const at::Tensor q = tokens(0), k = tokens(1), v = tokens(2);
    if (pass.query != nullptr && pass.query->stage == stage_index && pass.query->block == block_index)
      *pass.weights = map_softmax(query_logits(q.select(2, pass.query->row * columns + pass.query->column), k.unflatten(2, {rows, columns}),
                                               1 / std::sqrt(static_cast<double>(site.head_width))),
                                  {});
    at::Tensor o = pass.forms.attend_all(site, q, k, v, pass.context, rows, columns).transpose(1, 2).flatten(2).unflatten(1, {rows, columns});
    if (lepe) o = channels_last(lepe->forward(channels_first(side == Side::kInput ? x : projected.slice(3, 2 * width)), channels_first(o)));
    return proj.forward(o, residual);
  }

  double multiply_adds(int64_t rows, int64_t columns) const {
    const auto cells = static_cast<double>(rows * columns), width = static_cast<double>(proj.weight.shape[0]);
    return cells * width * 4 * width + 2 * cells * cells * width +
           (lepe ? cells * width * static_cast<double>(lepe->weight.shape[2] * lepe->weight.shape[3]) : 0);
  }

  AttentionSite site;
  Side side = Side::kNone;
  int64_t stage_index, block_index;
  nn::Linear qkv, proj;
  std::optional<nn::Conv2d> lepe;
};

struct Block : nn::Module {
  Block(const BiFormerConfig& c, size_t stage, int64_t number, const AttentionSite& site)
      : norm1(c.embed_dim[stage], kNormEpsilon),
        norm2(c.embed_dim[stage], kNormEpsilon),
        fc1(c.embed_dim[stage], c.hidden[stage]),
        fc2(c.hidden[stage], c.embed_dim[stage]) {
    const int64_t width = c.embed_dim[stage];
    if (c.before_attn_dwconv > 0) add("pos_embed", pos_embed.emplace(width, width, c.before_attn_dwconv, depthwise(width, c.before_attn_dwconv)));
    add("norm1", norm1);
    if (c.routing.topks[stage] > 0) add("attn", routed.emplace(c, stage, number));
    else add("attn", dense.emplace(c, stage, number, site));
    add("norm2", norm2);
    add("mlp.0", fc1);
    add(c.form == BiFormerForm::kBiFormer ? "mlp.3" : "mlp.2", fc2);
  }

  /// [B,rows,columns,C]
  at::Tensor forward(at::Tensor x, const BiFormerRouting& routing, const BiFormerPass& pass) const {
    if (pos_embed) x = channels_last(pos_embed->forward(channels_first(x), channels_first(x)));
    x = routed ? routed->forward(norm1.forward(x), x, routing, pass) : dense->forward(norm1.forward(x), x, pass);
    return fc2.forward(activate(fc1.forward(norm2.forward(x))), x);
  }

  double multiply_adds(int64_t rows, int64_t columns, const BiFormerRouting& routing) const {
    const auto cells = static_cast<double>(rows * columns), width = static_cast<double>(fc1.weight.shape[1]), hidden = static_cast<double>(fc1.weight.shape[0]);
    return 2 * cells * width * hidden + (pos_embed ? cells * width * 9 : 0) +
           (routed ? routed->multiply_adds(rows, columns, routing) : dense->multiply_adds(rows, columns));
  }

  std::optional<nn::Conv2d> pos_embed;
  nn::LayerNorm norm1, norm2;
  std::optional<RoutedAttention> routed;
  std::optional<DenseAttention> dense;
  nn::Linear fc1, fc2;
};

/// A sequence of convolutions and batch norms: before the first stage (the stem), and between stages.
struct Downsampling : nn::Module {
  Downsampling(const BiFormerConfig& c, size_t stage) : swin(c.form != BiFormerForm::kBiFormer), stem(stage == 0) {
    const int64_t in = stem ? c.in_chans : c.embed_dim[stage - 1], out = c.embed_dim[stage];
    if (swin) {
      const int64_t size = stem ? 4 : 2;
      add(stem ? "0" : "1", convolutions.emplace_back(in, out, size, size, 0));
      add(stem ? "1" : "0", norms.emplace_back(stem ? out : in));
      return;
    }
    add("0", convolutions.emplace_back(in, stem ? out / 2 : out, 3, 2, 1));
    add("1", norms.emplace_back(stem ? out / 2 : out));
    if (!stem) return;
    add("3", convolutions.emplace_back(out / 2, out, 3, 2, 1));
    add("4", norms.emplace_back(out));
  }

  /// [B,C,H,W]
  at::Tensor forward(const at::Tensor& x, bool training) const {
    if (swin && !stem) return convolutions[0].forward(norms[0].forward(x, training));
    at::Tensor y = norms[0].forward(convolutions[0].forward(x), training);
    if (convolutions.size() > 1) y = norms[1].forward(convolutions[1].forward(activate(y)), training);
    return y;
  }

  /// Of the map that it makes from one of rows x columns; `cost` gets the multiply-adds.
  std::array<int64_t, 2> size(std::array<int64_t, 2> map, double* cost = nullptr) const {
    for (const nn::Conv2d& convolution : convolutions) {
      const int64_t kernel = convolution.weight.shape[2];
      for (int64_t& side : map) side = swin ? side / kernel : (side + 1) / 2;
      if (cost != nullptr) *cost += static_cast<double>(map[0] * map[1]) * static_cast<double>(c10::multiply_integers(convolution.weight.shape));
    }
    return map;
  }

  bool swin, stem;
  std::deque<nn::Conv2d> convolutions;
  std::deque<nn::BatchNorm2d> norms;
};

}  // namespace

struct BiFormer::Layers {
  explicit Layers(const BiFormerConfig& c) : stages(c.depth.size()) {
    int64_t number = 0;
    for (size_t i = 0; i < c.depth.size(); ++i) {
      downsampling.emplace_back(c, i);
      for (int64_t j = 0; j < c.depth[i]; ++j)
        stages[i].emplace_back(
            c, i, j, AttentionSite{"backbone", path(c, i, j) + ".attn", number++, AttentionKind::kVision, kDenseHeads, c.embed_dim[i] / kDenseHeads});
      if (c.extra_norms) extra_norms.emplace_back(c.embed_dim[i], kNormEpsilon);
    }
    if (c.extra_norms) return;
    norm.emplace(c.embed_dim.back());
    if (c.num_classes > 0) head.emplace(c.embed_dim.back(), c.num_classes);
  }
  static std::string path(const BiFormerConfig& c, size_t stage, int64_t block) {
    return fmt::format(fmt::runtime(c.form == BiFormerForm::kBiFormer ? "stages.{}.{}" : "stages.{}.blocks.{}"), stage, block);
  }

  std::deque<Downsampling> downsampling;
  std::vector<std::deque<Block>> stages;
  std::deque<nn::LayerNorm> extra_norms;
  std::optional<nn::BatchNorm2d> norm;
  std::optional<nn::Linear> head;
};

BiFormer::BiFormer(const BiFormerConfig& config) : config_(config), layers_(std::make_unique<Layers>(config)) {
  Layers& l = *layers_;
  for (size_t i = 0; i < l.downsampling.size(); ++i) add(fmt::format("downsample_layers.{}", i), l.downsampling[i]);
  for (size_t i = 0; i < l.stages.size(); ++i)
    for (size_t j = 0; j < l.stages[i].size(); ++j) add(Layers::path(config, i, static_cast<int64_t>(j)), l.stages[i][j]);
  for (size_t i = 0; i < l.extra_norms.size(); ++i) add(fmt::format("extra_norms.{}", i), l.extra_norms[i]);
  if (l.norm) add("norm", *l.norm);
  if (l.head) add("head", *l.head);
}
BiFormer::~BiFormer() = default;

kernels::RegionGrid biformer_grid(BiFormerForm form, int64_t rows, int64_t columns, int64_t n_win) {
  if (form == BiFormerForm::kStlNchw) {
    if (rows < n_win || columns < n_win)
      throw std::invalid_argument(fmt::format("map of {} x {} cells is smaller than {} x {} regions", rows, columns, n_win, n_win));
    return kernels::regions_over(rows, columns, rows / n_win, columns / n_win);
  }
  if (rows < 1 || columns < 1 || rows % n_win != 0 || columns % n_win != 0)
    throw std::invalid_argument(fmt::format("map of {} x {} cells cannot be cut into {} x {} equal regions", rows, columns, n_win, n_win));
  return {n_win, n_win, rows / n_win, columns / n_win};
}

Routes route_regions(const at::Tensor& q, const at::Tensor& k, const kernels::RegionGrid& grid, int64_t topk, double scale) {
  const c10::NoGradGuard no_grad;
  const int64_t below = grid.rows * grid.height - q.size(1), right = grid.columns * grid.width - q.size(2);
  const auto means = [&](const at::Tensor& x) {  // [B,R,C]
    const bool whole = below == 0 && right == 0;
    const at::Tensor regions = (whole ? x : at::constant_pad_nd(x, {0, 0, 0, right, 0, below}))
                                   .unflatten(2, {grid.columns, grid.width})
                                   .unflatten(1, {grid.rows, grid.height});
    const at::Tensor sums = regions.sum({4}, false, at::kFloat).sum(2);  // one axis at a time: both at once take libtorch ten times as long
    if (whole) return (sums / static_cast<double>(grid.cells())).flatten(1, 2);
    const auto sizes = [&](int64_t count, int64_t side, int64_t beyond) {
      at::Tensor cells = at::full({count}, static_cast<double>(side), x.options().dtype(at::kFloat));
      cells[count - 1] -= beyond;
      return cells;
    };
    const at::Tensor counts = sizes(grid.rows, grid.height, below).unsqueeze(1) * sizes(grid.columns, grid.width, right);
    return (sums / counts.unsqueeze(2)).flatten(1, 2);
  };
  Routes routes;
  routes.logits = at::bmm(means(q) * scale, means(k).transpose(1, 2));
  routes.index = std::get<1>(at::sort(routes.logits, /*stable=*/true, /*dim=*/2, /*descending=*/true)).slice(2, 0, topk).contiguous();
  return routes;
}

std::vector<std::array<int64_t, 2>> BiFormer::map_sizes(int64_t height, int64_t width) const {
  std::vector<std::array<int64_t, 2>> sizes;
  std::array<int64_t, 2> map = {height, width};
  const BiFormerRouting& routing = config_.routing;
  const bool pads = config_.form == BiFormerForm::kBiFormer && routing.auto_pad;
  for (size_t i = 0; i < layers_->downsampling.size(); ++i) {
    map = layers_->downsampling[i].size(map);
    if (map[0] < 1 || map[1] < 1)
      fail(ExitCode::kBadInput, "the picture has {} x {} pixels (height x width), too few for stage {} of the BiFormer; give at least 32 x 32",
           height, width, i);
    sizes.push_back(map);
    if (routing.topks[i] <= 0 || pads) continue;
    try {
      biformer_grid(config_.form, map[0], map[1], routing.n_win[i]);
    } catch (const std::invalid_argument& error) {
      const int64_t reduction = int64_t{4} << i;
      fail(ExitCode::kBadInput, "the picture has {} x {} pixels (height x width), and stage {}'s {}; {}", height, width, i, error.what(),
           config_.form == BiFormerForm::kStlNchw ? fmt::format("give at least {} pixels on each side", reduction * routing.n_win[i])
           : config_.form == BiFormerForm::kBiFormer
               ? fmt::format("give sides that are multiples of {}, or set \"auto_pad\": true in config.json", reduction * routing.n_win[i])
               : fmt::format("give sides that are multiples of {}", reduction * routing.n_win[i]));
    }
  }
  return sizes;
}

double BiFormer::multiply_adds(int64_t height, int64_t width) const {
  map_sizes(height, width);
  double sum = 0;
  std::array<int64_t, 2> map = {height, width};
  for (size_t i = 0; i < layers_->stages.size(); ++i) {
    map = layers_->downsampling[i].size(map, &sum);
    for (const Block& block : layers_->stages[i]) sum += block.multiply_adds(map[0], map[1], config_.routing);
  }
  return sum + (layers_->head ? static_cast<double>(c10::multiply_integers(layers_->head->weight.shape)) : 0);
}

std::vector<at::Tensor> BiFormer::stages(const at::Tensor& image, const BiFormerPass& pass) const {
  if (image.dim() != 4 || image.size(1) != config_.in_chans || image.size(0) < 1)
    fail(ExitCode::kBadInput, "the image has the shape [{}]; [B, {}, H, W] is needed", fmt::join(image.sizes(), ", "), config_.in_chans);
  map_sizes(image.size(2), image.size(3));
  std::vector<at::Tensor> maps;
  at::Tensor x = image.contiguous(at::MemoryFormat::ChannelsLast);
  for (size_t i = 0; i < layers_->stages.size(); ++i) {
    x = channels_last(layers_->downsampling[i].forward(x, pass.training));
    for (const Block& block : layers_->stages[i]) {
      pass.context.check_stop();
      x = block.forward(x, config_.routing, pass);
    }
    maps.push_back(x);
    x = channels_first(x);
  }
  return maps;
}

BackboneOutputs BiFormer::forward(const at::Tensor& image, const ForwardContext& context, bool with_records) const {
  BackboneOutputs outputs;
  const BiFormerPass pass{context, forms(), is_training(), with_records ? &outputs : nullptr};
  const std::vector<at::Tensor> maps = stages(image, pass);
  for (size_t i = 0; i < maps.size(); ++i) outputs.features.push_back(channels_first(config_.extra_norms ? layers_->extra_norms[i].forward(maps[i]) : maps[i]));
  if (layers_->head) outputs.logits = layers_->head->forward(layers_->norm->forward(channels_first(maps.back()), pass.training).mean({2, 3}));
  return outputs;
}

at::Tensor BiFormer::attention_of(const at::Tensor& image, const ForwardContext& context, const AttentionQuery& query) const {
  const c10::NoGradGuard no_grad;
  const auto stages_count = static_cast<int64_t>(config_.depth.size());
  if (query.stage < 0 || query.stage >= stages_count || query.block < 0 || query.block >= config_.depth[query.stage])
    fail(ExitCode::kBadInput, "BiFormer: there is no block {} of stage {}; stages are 0 to {} with {} blocks", query.block, query.stage,
         stages_count - 1, fmt::join(config_.depth, ", "));
  if (image.dim() == 4) {
    const auto [rows, columns] = map_sizes(image.size(2), image.size(3))[query.stage];
    if (query.row < 0 || query.row >= rows || query.column < 0 || query.column >= columns)
      fail(ExitCode::kBadInput, "BiFormer: the query ({}, {}) is outside the {} x {} cells of stage {}", query.row, query.column, rows, columns, query.stage);
  }
  at::Tensor weights;
  stages(image, {context, forms(), false, nullptr, &query, &weights});
  return weights;
}

}  // namespace attelier
