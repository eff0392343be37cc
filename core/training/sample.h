// One picture of a training set, and where pictures come from.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/context.h"
#include "core/training/config.h"

namespace attelier {

/// A square picture with its caption and, where the source knows it, what is behind it: the world all of it, the small world depth and instances.
struct Sample {
  at::Tensor pixels;        // uint8 [3, S, S]
  std::string caption{};    // may be empty
  at::Tensor depth{};       // float32 [S, S], metres, 0 where there is only sky; undefined where it is not known, as the others
  at::Tensor normals{};     // float32 [S, S, 3], unit, in the camera's axes; 0 for the sky
  at::Tensor kinds{};       // uint8 [S, S], world::Kind
  at::Tensor instances{};   // int32 [S, S], 0 surroundings, else 1 + object
  at::Tensor condition{};   // uint8 [3, S, S]: a picture that the user gave for a ControlNet; undefined otherwise
};

/// An endless row of pictures: sample(n) is a pure function of n and safe to call from several threads. Negative numbers are held out, no step is
/// trained on them; but a source whose pictures are counted holds none back, and there they are the same pictures in order, cropped in the middle.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  virtual Sample sample(int64_t number) const = 0;
  /// About `count` captions as the source makes them: what a vocabulary is learnt from. Throws Interrupted within a second of a stop.
  virtual std::vector<std::string> captions(int64_t count, const Context& context) const = 0;
  /// How many different pictures there are; nothing where new ones are drawn for ever.
  virtual std::optional<int64_t> count() const { return std::nullopt; }
  /// Pictures that their owner has given no caption, by file.
  virtual std::vector<std::filesystem::path> uncaptioned() const { return {}; }
  /// Whether every sample has `condition`.
  virtual bool has_condition() const { return false; }
};

/// Samples first .. first + count - 1, drawn by so many threads.
std::vector<Sample> draw_samples(const SampleSource& source, int64_t first, int64_t count, int threads);

/// Complaints about a resolved "data" group: names that do not exist, a folder without pictures.
void check_data(const Json& data, const std::filesystem::path& base, ConfigProblems& problems);

/// The source of a resolved and checked "data" group. A folder's pictures are opened here; those that cannot be read are left out, counted and named in
/// the log.
std::unique_ptr<SampleSource> make_sample_source(const Json& data, uint64_t seed, int64_t size, const std::filesystem::path& base, const Context& context);

/// The parts of make_sample_source.
std::unique_ptr<SampleSource> make_drawn_source(double scene_share, uint64_t seed, int64_t size);
std::unique_ptr<SampleSource> make_world_source(const Json& data, uint64_t seed, int64_t size);
std::unique_ptr<SampleSource> make_folder_source(const Json& data, uint64_t seed, int64_t size, const std::filesystem::path& base, const Context& context);
/// Complaints about "looks" and "places".
void check_world_names(const Json& data, ConfigProblems& problems);
void check_folder(const Json& data, const std::filesystem::path& base, ConfigProblems& problems);

/// Independent 64-bit numbers of (seed, number, stream).
uint64_t sample_seed(uint64_t seed, int64_t number, uint64_t stream = 0);

}  // namespace attelier
