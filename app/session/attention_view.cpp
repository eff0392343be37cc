#include "app/session/attention_view.h"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include "core/attention/attention_maps.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "pipelines/attention_watch.h"

namespace attelier {
namespace {

constexpr const char *kSelf = ".attn1", *kCross = ".attn2";

HeatMap to_heat_map(const at::Tensor& tensor) {
  const at::Tensor values = tensor.to(at::kFloat).contiguous();
  return {tensor.size(1), tensor.size(0), {values.data_ptr<float>(), values.data_ptr<float>() + values.numel()}};
}

at::Tensor map_of(std::span<const CapturedAttention> captures, const MapRequest& request, const MapScope& scope, const std::stop_token& stop) {
  switch (request.kind) {
    case MapKind::kWords: return word_map(captures, scope, request.tokens, stop);
    case MapKind::kPlace: return place_map(captures, scope, request.x, request.y, stop);
    case MapKind::kReceived: return received_map(captures, scope, stop);
    case MapKind::kEntropy: return entropy_map(captures, scope, AttentionKind::kSelf, stop);
  }
  return {};
}

/// "down_blocks.1.attentions.0.transformer_blocks.0" -> "down 1.0"; with several blocks in one layer "down 1.0.2".
std::string spoken(const std::string& path) {
  std::vector<std::string> numbers;
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('.', at), path.size());
    const std::string part = path.substr(at, end - at);
    if (!part.empty() && part.find_first_not_of("0123456789") == std::string::npos) numbers.push_back(part);
    at = end + 1;
  }
  if (!numbers.empty() && numbers.back() == "0") numbers.pop_back();
  const std::string part = path.starts_with("down") ? "down" : path.starts_with("up") ? "up" : path.starts_with("mid") ? "middle" : "";
  return part.empty() ? path : fmt::format("{} {}", part, fmt::join(numbers, "."));
}

std::string csv_text(const HeatMap& map) {
  std::string text;
  for (int64_t y = 0; y < map.height; ++y)
    for (int64_t x = 0; x < map.width; ++x) text += fmt::format("{}{}", map.at(x, y), x + 1 < map.width ? "," : "\n");
  return text;
}

/// NumPy's format 1.0: magic, length of the header, header padded to a multiple of 64 bytes, little-endian numbers.
std::string npy_bytes(const HeatMap& map) {
  std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", map.height, map.width);
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 255);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  bytes.append(reinterpret_cast<const char*>(map.values.data()), map.values.size() * sizeof(float));
  return bytes;
}

}  // namespace

MapResult compute_maps(const AttentionWatch& watch, const MapRequest& request, const std::stop_token& stop) {
  const c10::InferenceMode inference;
  const std::vector<CapturedAttention> captures = watch.recorder.captures();
  MapResult result{.request = request};
  MapScope scope{request.site, request.step, request.head, request.source};
  result.map = to_heat_map(map_of(captures, request, scope, stop));
  if (request.kind == MapKind::kWords && !request.other_tokens.empty()) {
    MapRequest other = request;
    other.tokens = request.other_tokens;
    result.other = to_heat_map(map_of(captures, other, scope, stop));
  }
  for (int64_t source = 0; source < static_cast<int64_t>(watch.sources().size()); ++source) {
    const at::Tensor map = place_map(captures, {request.site, request.step, {}, source}, request.x, request.y, stop);
    result.source_shares.push_back(map.numel() == 0 ? 0 : map.mean().item<double>());
  }
  MapScope words{request.site, request.step, request.head};
  if (words.site.ends_with(kSelf)) words.site.replace(words.site.size() - std::strlen(kSelf), std::string::npos, kCross);
  result.shares = word_shares(captures, words, request.x, request.y, stop);
  if (!request.wants_heads || request.site.empty()) return result;
  const auto found = std::find_if(captures.begin(), captures.end(), [&](const CapturedAttention& capture) { return capture.site.path == request.site; });
  for (int64_t head = 0; found != captures.end() && head < found->site.heads; ++head) {
    scope.head = head;
    result.heads.push_back(to_heat_map(map_of(captures, request, scope, stop)));
  }
  return result;
}

std::vector<LayerName> captured_layers(const AttentionWatch& watch) {
  std::vector<LayerName> layers;
  for (const CapturedSite& captured : captured_sites(watch.recorder.captures(), AttentionKind::kCross)) {
    std::string path = captured.site.path;
    if (path.ends_with(kCross)) path.erase(path.size() - std::strlen(kCross));
    layers.push_back({path, fmt::format("{} · {} x {}", spoken(path), captured.grid_width, captured.grid_height), captured.site.heads});
  }
  return layers;
}

std::string site_of(const LayerName& layer, MapKind kind) { return layer.site + (kind == MapKind::kWords ? kCross : kSelf); }

std::vector<int64_t> captured_steps(const AttentionWatch& watch) { return captured_steps(watch.recorder.captures()); }

void save_map(const std::filesystem::path& file, const HeatMap& map, const Image& picture, HeatRange range, double density, bool smooth) {
  if (map.empty()) fail(ExitCode::kBadInput, "{}: there is no map to write; nothing was captured there", file.string());
  const std::string extension = file.extension().string();
  if (extension == ".csv") write_file_atomically(file, csv_text(map));
  else if (extension == ".npy") write_file_atomically(file, npy_bytes(map));
  else save_image(file, heat_over(picture, map, range, density, smooth));
}

struct MapWorker::State {
  explicit State(std::function<void()> the_wake) : wake(std::move(the_wake)), thread([this](const std::stop_token& token) { work(token); }) {}

  void work(const std::stop_token& quitting) {
    while (true) {
      std::shared_ptr<const AttentionWatch> watch;
      MapRequest request;
      std::stop_token stop;
      {
        std::unique_lock lock(mutex);
        busy = false;
        if (!changed.wait(lock, quitting, [this] { return wanted.has_value(); })) return;
        watch = std::move(wanted->first);
        request = std::move(wanted->second);
        wanted.reset();
        busy = true;
        running = request;
        current = std::stop_source();
        stop = current.get_token();
      }
      try {
        MapResult result = compute_maps(*watch, request, stop);
        const std::lock_guard lock(mutex);
        finished = std::move(result);
      } catch (const std::exception&) {
        continue;  // a newer request came, or there is no memory for this one
      }
      if (wake) wake();
    }
  }

  std::function<void()> wake;
  mutable std::mutex mutex;
  std::condition_variable_any changed;
  std::optional<std::pair<std::shared_ptr<const AttentionWatch>, MapRequest>> wanted;
  MapRequest running;
  std::optional<MapResult> finished;
  std::stop_source current;
  bool busy = false;
  std::jthread thread;  // ends before what it uses
};

MapWorker::MapWorker(std::function<void()> wake) : state_(std::make_unique<State>(std::move(wake))) {}
MapWorker::~MapWorker() {
  const std::lock_guard lock(state_->mutex);
  state_->current.request_stop();
}

void MapWorker::ask(std::shared_ptr<const AttentionWatch> watch, MapRequest request) {
  const std::lock_guard lock(state_->mutex);
  // A pointer that moves on and on still gets its maps: what differs in the place alone is finished first.
  MapRequest same_place = request;
  same_place.x = state_->running.x;
  same_place.y = state_->running.y;
  if (same_place != state_->running) state_->current.request_stop();
  state_->wanted = {std::move(watch), std::move(request)};
  state_->changed.notify_all();
}

std::optional<MapResult> MapWorker::take() {
  const std::lock_guard lock(state_->mutex);
  return std::exchange(state_->finished, std::nullopt);
}

bool MapWorker::is_busy() const {
  const std::lock_guard lock(state_->mutex);
  return state_->busy || state_->wanted.has_value();
}

}  // namespace attelier
