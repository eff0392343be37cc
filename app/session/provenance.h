// What a picture says about its making.
#pragma once

#include <string>

#include "app/session/job.h"
#include "core/media/image.h"

namespace attelier {

/// The facts of one run that every picture of it shares. Files are known by name and hash, so that no picture carries a path of the machine that made
/// it.
class Provenance {
 public:
  /// Hashes the inputs.
  Provenance(const Job& job, std::string model_sha256, at::Device device, at::ScalarType dtype);

  /// SHA-256 of what decides the pixels: method, model, inputs, parameters, device and dtype.
  std::string run_id(const Json& params) const;
  /// The canonical job of one picture, with the record of its making.
  Json job(const Json& params) const;
  /// "parameters", as other tools read it, and "attelier-job". A job beyond what a PNG text may hold is left out.
  PngTexts texts(const Json& params, const Image& image) const;

 private:
  const Job& job_;
  std::string model_sha256_, device_, dtype_;
  Json inputs_;
};

/// The run id that a finished picture names: in its texts or in its record beside it; "" if it names none.
std::string run_id_of(const std::filesystem::path& picture);

}  // namespace attelier
