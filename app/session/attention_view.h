// Maps of a watched run, computed beside whoever asks for them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/media/heat_map.h"

namespace attelier {

class AttentionWatch;

enum class MapKind { kWords /* who attends to words */, kPlace /* what a place attends to */, kReceived /* where all look */, kEntropy /* how widely each looks */ };

struct MapRequest {
  MapKind kind = MapKind::kWords;
  std::vector<int64_t> tokens = {};  // kWords: keys of cross-attention
  double x = 0.5, y = 0.5;       // kPlace, and of `shares`: in shares of the picture
  std::string site = {};         // path; "" = the mean over all layers
  std::optional<int64_t> step = std::nullopt;  // as captured; absent = the mean over all
  std::optional<int64_t> head = std::nullopt;  // absent = the mean
  bool wants_heads = false;      // beside the map each head's own; needs a site
  std::optional<int64_t> source = std::nullopt;  // not in the picture itself but in this one of the watch's sources(), over which the map then lies
  std::vector<int64_t> other_tokens = {};  // kWords: those of a second map, to compare with
  bool operator==(const MapRequest&) const = default;
};

struct MapResult {
  MapRequest request = {};
  HeatMap map = {};            // empty: nothing was captured there
  std::vector<HeatMap> heads = {};
  std::vector<double> shares = {};  // what each text token gets from (x, y)
  HeatMap other = {};          // of other_tokens
  std::vector<double> source_shares = {};  // what each of the watch's sources gets from there in the layers that look at them, the mean of the heads
};

/// Throws Interrupted.
MapResult compute_maps(const AttentionWatch& watch, const MapRequest& request, const std::stop_token& stop = {});

/// A layer with attention between places (self) and to the text (cross), as a person calls it.
struct LayerName {
  std::string site;   // path without ".attn1" or ".attn2"
  std::string label;  // "down 1.0 · 16 x 16"
  int64_t heads = 1;
};
std::vector<LayerName> captured_layers(const AttentionWatch& watch);
/// The path of a layer's self- or cross-attention, as MapRequest wants it.
std::string site_of(const LayerName& layer, MapKind kind);
/// The captured steps.
std::vector<int64_t> captured_steps(const AttentionWatch& watch);

/// Writes a map: .csv and .npy (f32 [height, width]) hold its numbers, .png and other pictures its colours over `picture`. Throws Error.
void save_map(const std::filesystem::path& file, const HeatMap& map, const Image& picture, HeatRange range, double density, bool smooth);

/// Computes on a thread of its own; only the newest request counts, an older one is dropped in its midst.
class MapWorker {
 public:
  /// `wake` is called from the thread when a result is there.
  explicit MapWorker(std::function<void()> wake);
  ~MapWorker();
  MapWorker(const MapWorker&) = delete;
  MapWorker& operator=(const MapWorker&) = delete;

  void ask(std::shared_ptr<const AttentionWatch> watch, MapRequest request);
  /// The newest result that was not taken yet.
  std::optional<MapResult> take();
  bool is_busy() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace attelier
