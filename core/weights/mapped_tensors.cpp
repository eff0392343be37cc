#include "core/weights/mapped_tensors.h"

#include "core/base/error.h"
#include "core/weights/quote.h"

namespace attelier {
namespace {

class MappedTensors : public TensorSource {
 public:
  MappedTensors(std::shared_ptr<const TensorSource> source, const std::vector<TensorMapping>& mappings) : source_(std::move(source)) {
    for (const TensorMapping& mapping : mappings) {
      TensorInfo info = source_->tensors().at(mapping.source);
      change_shape(info.shape, mapping);
      const auto [place, is_new] = mappings_.emplace(mapping.name, mapping);
      if (!is_new)
        fail(ExitCode::kModel, "{}: the tensors {} and {} are both the model's {}; remove one of them", path().string(), in_quotes(place->second.source),
             in_quotes(mapping.source), in_quotes(mapping.name));
      tensors_.emplace(mapping.name, std::move(info));
    }
  }

  const std::map<std::string, TensorInfo>& tensors() const override { return tensors_; }
  const std::map<std::string, std::string>& metadata() const override { return source_->metadata(); }
  const std::filesystem::path& path() const override { return source_->path(); }

  at::Tensor read(const std::string& name) const override {
    const auto found = mappings_.find(name);
    if (found == mappings_.end()) fail(ExitCode::kModel, "{}: has no tensor {}", path().string(), in_quotes(name));
    const at::Tensor stored = source_->read(found->second.source);
    const auto third = [&](int64_t i) { return stored.narrow(0, i * (stored.size(0) / 3), stored.size(0) / 3); };
    switch (found->second.change) {
      case TensorChange::kNone:
        return stored;
      case TensorChange::kFirstThird:
        return third(0);
      case TensorChange::kSecondThird:
        return third(1);
      case TensorChange::kLastThird:
        return third(2);
      case TensorChange::kTransposed:
        return stored.t().contiguous();
      case TensorChange::kSqueezed:
        return stored.reshape(tensors_.at(name).shape);
    }
    return stored;
  }

 private:
  void change_shape(std::vector<int64_t>& shape, const TensorMapping& mapping) const {
    const auto require = [&](bool right, std::string_view rule) {
      if (!right)
        fail(ExitCode::kModel, "{}: tensor {} has the shape [{}], where {} was expected; the file is damaged or of an unknown kind", path().string(),
             in_quotes(mapping.source), fmt::join(shape, ", "), rule);
    };
    switch (mapping.change) {
      case TensorChange::kNone:
        return;
      case TensorChange::kFirstThird:
      case TensorChange::kSecondThird:
      case TensorChange::kLastThird:
        require(!shape.empty() && shape[0] % 3 == 0, "a first axis of three equal parts");
        shape[0] /= 3;
        return;
      case TensorChange::kTransposed:
        require(shape.size() == 2, "a matrix");
        std::swap(shape[0], shape[1]);
        return;
      case TensorChange::kSqueezed:
        require(shape.size() == 4 && shape[2] == 1 && shape[3] == 1, "a 1x1 convolution");
        shape.resize(2);
        return;
    }
  }

  std::shared_ptr<const TensorSource> source_;
  std::map<std::string, TensorMapping> mappings_;
  std::map<std::string, TensorInfo> tensors_;
};

}  // namespace

std::shared_ptr<const TensorSource> map_tensors(std::shared_ptr<const TensorSource> source, const std::vector<TensorMapping>& mappings) {
  return std::make_shared<MappedTensors>(std::move(source), mappings);
}

}  // namespace attelier
