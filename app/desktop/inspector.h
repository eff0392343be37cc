// Looks into the attention of a run: maps over its picture by word, place, layer, step and head; and edits it for the next run.
#pragma once

#include <imgui.h>

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/desktop/texture.h"
#include "app/desktop/theme.h"
#include "app/session/attention_view.h"
#include "core/base/parameters.h"
#include "core/text/prompt_tokens.h"

namespace attelier::desktop {

/// What the inspector asks of the window.
struct InspectorActions {
  std::function<void(bool beside)> run;                   // the form's job, watched; `beside`: the shown picture stays to compare with
  std::function<Json()> edits;                            // the job's attention edits; null where its method has none
  std::function<void(const Json& texts)> change_edits;
  std::function<int64_t()> steps;                         // of the form's job
  std::function<void(std::function<void(const std::filesystem::path&)> chosen)> choose_file;
  std::function<void(const std::string& problem)> failed;
  std::function<void(const std::string& text)> tell;
};

class Inspector {
 public:
  explicit Inspector(std::function<void()> wake) : worker_(std::move(wake)) {}

  /// From now on the maps are those of this job.
  void watch(int64_t job, std::shared_ptr<AttentionWatch> watch);
  int64_t job() const { return job_; }
  /// Something new was captured, or the job ended.
  void refresh() { asked_.reset(); }
  /// It will capture no more: without any step there is nothing to look at.
  void job_ended();
  bool is_busy() const { return worker_.is_busy(); }

  void draw_panel(const Theme& theme, const InspectorActions& actions, const Image* picture);
  /// Over a picture of `width` x `height` pixels whose corner is at `origin`. True where the pointer marks a place and the canvas must not move.
  bool draw_overlay(ImVec2 origin, float scale, bool hovered, int64_t width, int64_t height, const Theme& theme);

 private:
  MapRequest request() const;
  void take_results();
  void draw_words(const Theme& theme);
  void draw_source(const Theme& theme);
  /// Which picture the places look into, where the run has others beside its own, and that one under its map.
  void draw_pictures(const Theme& theme);
  void draw_heads(const Theme& theme);
  void draw_scale(const Theme& theme);
  void draw_edits(const Theme& theme, const InspectorActions& actions);
  void draw_export(const InspectorActions& actions, const Image* picture);
  HeatRange range() const { return range_of(result_.map); }
  HeatRange range_of(const HeatMap& map) const;
  bool compares_words() const { return kind_ == MapKind::kWords && compared_ && *compared_ < words_.size() && !result_.other.empty(); }
  std::string chosen_text() const;
  /// What "Add this edit" adds to the job's list.
  std::vector<std::string> edit_texts() const;

  MapWorker worker_;
  std::shared_ptr<AttentionWatch> watch_;
  int64_t job_ = 0;
  std::vector<PromptWord> words_;
  std::vector<LayerName> layers_;
  std::vector<int64_t> steps_;
  std::vector<Image> sources_;                    // pictures that the run looks at beside its own
  std::vector<Texture> source_textures_;
  int source_ = -1;                               // the one whose map is shown; -1 = the picture itself

  MapKind kind_ = MapKind::kWords;
  std::set<size_t> chosen_;                       // words
  std::optional<size_t> compared_;                // the word that they are compared with
  std::array<double, 2> place_{0.5, 0.5};         // pinned
  std::optional<std::array<double, 2>> pointer_;  // where the pointer is
  int layer_ = 0;                                 // 0 = all, i = layers_[i - 1]
  int step_ = -1, head_ = -1;                     // indices; -1 = the mean
  enum class Range { kWhole, kInner, kFixed } range_ = Range::kWhole;
  HeatRange fixed_{0, 1};
  float density_ = 0.6f;
  bool smooth_ = true, shown_ = true;

  std::optional<MapRequest> asked_;
  MapResult result_;
  HeatRange drawn_with_{}, other_drawn_with_{};
  Texture texture_;
  std::vector<Texture> head_textures_;

  float gain_ = 0;
  std::array<int, 2> edit_steps_{0, 0};
  bool limits_steps_ = false, limits_head_ = false, marks_ = false, other_words_ = true;
  std::optional<std::array<double, 4>> box_;      // left, top, right, bottom, in shares
  std::optional<std::array<double, 2>> box_from_;
};

}  // namespace attelier::desktop
