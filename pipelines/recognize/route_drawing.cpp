#include "pipelines/recognize/route_drawing.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "core/base/error.h"
#include "pipelines/recognize/canvas.h"

namespace attelier {
namespace {

using Json = nlohmann::json;

const cv::Scalar kGridColour(235, 235, 235), kQueryColour(255, 255, 255), kHatchColour(120, 120, 120);

Rectangle rectangle_of(const BlockRoutes& routes, int64_t region) {
  const double width = static_cast<double>(routes.cell_columns * routes.stride()), height = static_cast<double>(routes.cell_rows * routes.stride());
  return {(static_cast<double>(region % routes.columns) + 0.5) * width - 0.5, (static_cast<double>(region / routes.columns) + 0.5) * height - 0.5,
          width / 2, height / 2};
}

/// From the best, bright yellow, to the last, violet.
cv::Scalar rank_colour(int64_t rank, int64_t count) {
  const double place = count < 2 ? 1 : 1 - 0.75 * static_cast<double>(rank) / static_cast<double>(count - 1);
  const cv::Mat level(1, 1, CV_8U, cv::Scalar(255 * place * 0.92));
  cv::Mat colour;
  cv::applyColorMap(level, colour, cv::COLORMAP_PLASMA);
  const cv::Vec3b bgr = colour.at<cv::Vec3b>(0, 0);
  return cv::Scalar(bgr[2], bgr[1], bgr[0]);
}

void draw_grid(Canvas& canvas, const BlockRoutes& routes) {
  for (int64_t g = 0; g < routes.regions(); ++g) canvas.outline(rectangle_of(routes, g), kGridColour, 1);
}

std::vector<int64_t> row_of(const at::Tensor& index, int64_t row) {
  const at::Tensor numbers = index.select(0, row).contiguous();
  return {numbers.const_data_ptr<int64_t>(), numbers.const_data_ptr<int64_t>() + numbers.numel()};
}

std::string title_of(const BlockRoutes& routes) { return fmt::format("stage {}, block {}", routes.stage, routes.block); }

double share(const at::Tensor& yes) { return yes.to(at::kFloat).mean().item<double>(); }

/// [R,R], true where the region of the row attends to that of the column.
at::Tensor graph_of(const BlockRoutes& routes) { return at::zeros({routes.regions(), routes.regions()}, at::kBool).scatter(1, routes.index, true); }

Json block_json(const BlockRoutes& routes, const BlockRoutes* before) {
  const at::Tensor sorted = std::get<0>(at::sort(routes.logits, /*dim=*/1, /*descending=*/true)), graph = graph_of(routes);
  Json json = {{"stage", routes.stage},
               {"block", routes.block},
               {"region_rows", routes.rows},
               {"region_columns", routes.columns},
               {"cells_per_region", {routes.cell_rows, routes.cell_columns}},
               {"pixels_per_cell", routes.stride()},
               {"topk", routes.topk()},
               {"self_routing", share(graph.diagonal())},
               {"never_chosen", share(in_degree(routes).eq(0))}};
  if (routes.topk() < routes.regions()) {
    const at::Tensor margin = sorted.select(1, routes.topk() - 1) - sorted.select(1, routes.topk());
    json["margin"] = {{"mean", margin.mean().item<double>()}, {"least", margin.min().item<double>()}};
  }
  const at::Tensor weights = at::softmax(sorted.slice(1, 0, routes.topk()), 1);
  json["entropy"] = std::abs((weights * weights.clamp_min(1e-30).log()).sum(1).mean().item<double>());
  if (before != nullptr) json["changed"] = 1 - share(graph_of(*before).index({graph}));
  const at::Tensor degrees = in_degree(routes);
  json["in_degree"] = std::vector<int64_t>(degrees.const_data_ptr<int64_t>(), degrees.const_data_ptr<int64_t>() + degrees.numel());
  json["routes"] = Json::array();
  for (int64_t g = 0; g < routes.regions(); ++g) json["routes"].push_back(row_of(routes.index, g));
  return json;
}

}  // namespace

int64_t BlockRoutes::region_of(int64_t x, int64_t y) const {
  const int64_t column = x / stride() / cell_columns, row = y / stride() / cell_rows;
  if (x < 0 || y < 0 || column >= columns || row >= rows)
    fail(ExitCode::kBadInput, "the pixel ({}, {}) lies outside the {} x {} regions of stage {}", x, y, columns, rows, stage);
  return row * columns + column;
}

std::vector<BlockRoutes> read_routes(const std::vector<std::pair<std::string, at::Tensor>>& records, int64_t row) {
  const auto find = [&](const std::string& name) {
    const auto found = std::find_if(records.begin(), records.end(), [&](const auto& record) { return record.first == name; });
    if (found == records.end()) fail(ExitCode::kUnexpected, "the records lack {}", name);
    return found->second;
  };
  constexpr std::string_view kRoutes = "routes.";
  std::vector<BlockRoutes> blocks;
  for (const auto& [name, tensor] : records) {
    if (!name.starts_with(kRoutes)) continue;
    const std::string place = name.substr(kRoutes.size());
    BlockRoutes& block = blocks.emplace_back();
    block.stage = std::stoll(place);
    block.block = std::stoll(place.substr(place.find('.') + 1));
    if (row < 0 || row >= tensor.size(0)) fail(ExitCode::kBadInput, "routes of picture {} were asked for; the records hold {} pictures", row, tensor.size(0));
    block.index = tensor.select(0, row).to(at::kCPU, at::kLong).contiguous();
    block.logits = find("route_logits." + place).select(0, row).to(at::kCPU, at::kFloat).contiguous();
    const at::Tensor grid = find("route_grid." + place).to(at::kCPU, at::kLong).contiguous();
    int64_t* const fields[] = {&block.rows, &block.columns, &block.cell_rows, &block.cell_columns};
    for (size_t i = 0; i < std::size(fields); ++i) *fields[i] = grid.const_data_ptr<int64_t>()[i];
  }
  return blocks;
}

Image draw_routes(const Image& picture, const BlockRoutes& routes, int64_t x, int64_t y) {
  Canvas canvas(picture);
  const int64_t query = routes.region_of(x, y);
  const std::vector<int64_t> chosen = row_of(routes.index, query);
  const auto count = static_cast<int64_t>(chosen.size());
  for (int64_t rank = 0; rank < count; ++rank) canvas.fill(rectangle_of(routes, chosen[rank]), rank_colour(rank, count), 0.55);
  draw_grid(canvas, routes);
  const Rectangle region = rectangle_of(routes, query);
  canvas.outline(region, cv::Scalar(0, 0, 0), 6);
  canvas.outline(region, kQueryColour, 3);
  const bool roomy = 2 * region.half_width * canvas.zoom() > 26;
  for (int64_t rank = 0; roomy && rank < count; ++rank)
    canvas.text(rectangle_of(routes, chosen[rank]).x, rectangle_of(routes, chosen[rank]).y, std::to_string(rank + 1));
  canvas.cross(static_cast<double>(x), static_cast<double>(y));
  return canvas.finish(
      fmt::format("{}: the {} of {} regions that the region of ({}, {}) attends to; 1 fits best", title_of(routes), count, routes.regions(), x, y));
}

at::Tensor in_degree(const BlockRoutes& routes) { return at::bincount(routes.index.flatten(), {}, routes.regions()); }

Image draw_in_degree(const Image& picture, const BlockRoutes& routes) {
  Canvas canvas(picture);
  const at::Tensor degrees = in_degree(routes);
  const int64_t most = degrees.max().item<int64_t>();
  canvas.colours(degrees.view({routes.rows, routes.columns}), static_cast<double>(most),
                 static_cast<double>(routes.columns * routes.cell_columns * routes.stride()),
                 static_cast<double>(routes.rows * routes.cell_rows * routes.stride()));
  draw_grid(canvas, routes);
  const Rectangle first = rectangle_of(routes, 0);
  for (int64_t g = 0; 2 * first.half_width * canvas.zoom() > 26 && g < routes.regions(); ++g)
    canvas.text(rectangle_of(routes, g).x, rectangle_of(routes, g).y, std::to_string(degrees[g].item<int64_t>()));
  return canvas.finish(fmt::format("{}: how many regions attend to each, {} on average, up to {}; {:.0f} % of regions are chosen by none",
                                   title_of(routes), routes.topk(), most, 100 * share(degrees.eq(0))));
}

Image draw_attention(const Image& picture, const at::Tensor& weights, int64_t stride, int64_t x, int64_t y, const std::string& title) {
  Canvas canvas(picture);
  const at::Tensor numbers = weights.to(at::kCPU, at::kFloat).contiguous();
  const double most = numbers.max().item<double>(), side = static_cast<double>(stride);
  canvas.colours(numbers, most, side * static_cast<double>(numbers.size(1)), side * static_cast<double>(numbers.size(0)));
  const auto values = numbers.accessor<float, 2>();
  for (int64_t row = 0; row < numbers.size(0); ++row)
    for (int64_t column = 0; column < numbers.size(1); ++column) {
      const Rectangle cell{(static_cast<double>(column) + 0.5) * side - 0.5, (static_cast<double>(row) + 0.5) * side - 0.5, side / 2, side / 2};
      if (values[row][column] != 0) continue;
      canvas.fill(cell, cv::Scalar(60, 60, 60), 0.75);
      canvas.line(cell.x - cell.half_width, cell.y + cell.half_height, cell.x + cell.half_width, cell.y - cell.half_height, kHatchColour, 1);
    }
  canvas.cross(static_cast<double>(x), static_cast<double>(y));
  return canvas.finish(fmt::format("{}: attention of the query at ({}, {}), up to {:.4f}; hatched: not seen at all", title, x, y, most));
}

Json routes_json(const std::vector<BlockRoutes>& blocks, int64_t x, int64_t y) {
  Json all = Json::array();
  for (size_t i = 0; i < blocks.size(); ++i) {
    const BlockRoutes& routes = blocks[i];
    const bool follows = i > 0 && blocks[i - 1].stage == routes.stage;
    Json json = block_json(routes, follows ? &blocks[i - 1] : nullptr);
    const int64_t query = routes.region_of(x, y);
    Json chosen = Json::array();
    for (const int64_t region : row_of(routes.index, query))
      chosen.push_back({{"region", region},
                        {"row", region / routes.columns},
                        {"column", region % routes.columns},
                        {"logit", routes.logits[query][region].item<float>()}});
    json["query"] = {{"at", {x, y}}, {"region", query}, {"attends", std::move(chosen)}};
    all.push_back(std::move(json));
  }
  return all;
}

}  // namespace attelier
