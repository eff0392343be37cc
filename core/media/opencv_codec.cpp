#include "core/media/opencv_codec.h"

#include <limits>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "core/base/error.h"

namespace attelier {
namespace {

Image from_matrix(const cv::Mat& matrix, const std::string& name) {
  cv::Mat bytes;
  if (matrix.depth() == CV_16U) {
    matrix.convertTo(bytes, CV_8U, 1.0 / 257);  // 65535 / 255, rounded
  } else if (matrix.depth() == CV_8U) {
    bytes = matrix;
  } else {
    fail(ExitCode::kBadInput, "{}: holds neither 8 nor 16 bits per channel; export it with 8 or 16 bits", name);
  }
  Image image;
  image.width = bytes.cols;
  image.height = bytes.rows;
  image.channels = bytes.channels();
  if (image.channels != 1 && image.channels != 3 && image.channels != 4) {
    fail(ExitCode::kBadInput, "{}: has {} channels; 1 (gray), 3 (RGB) and 4 (RGBA) are read", name, image.channels);
  }
  image.pixels.resize(static_cast<size_t>(image.width * image.height * image.channels));
  cv::Mat target(bytes.rows, bytes.cols, bytes.type(), image.pixels.data());
  if (image.channels == 1) {
    bytes.copyTo(target);
  } else {
    cv::cvtColor(bytes, target, image.channels == 3 ? cv::COLOR_BGR2RGB : cv::COLOR_BGRA2RGBA);
  }
  return image;
}

}  // namespace

Image decode_with_opencv(std::string_view bytes, const std::string& name) {
  try {
    if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) throw cv::Exception();
    const cv::Mat input(1, static_cast<int>(bytes.size()), CV_8U, const_cast<char*>(bytes.data()));
    const cv::Mat matrix = cv::imdecode(input, cv::IMREAD_UNCHANGED);
    if (!matrix.empty()) return from_matrix(matrix, name);
  } catch (const cv::Exception&) {
  }
  fail(ExitCode::kBadInput, "{}: cannot be decoded: the file is damaged or of a rare variant; open it in an image editor and save it as PNG", name);
}

std::string encode_with_opencv(const Image& image, const std::string& extension) {
  const bool jpeg = extension != ".webp";
  const Image source = jpeg && image.channels == 4 ? to_rgb(image) : image;
  const int type = source.channels == 1 ? CV_8UC1 : source.channels == 3 ? CV_8UC3 : CV_8UC4;
  const cv::Mat rgb(static_cast<int>(source.height), static_cast<int>(source.width), type, const_cast<uint8_t*>(source.pixels.data()));
  std::vector<uint8_t> bytes;
  try {
    cv::Mat bgr;
    if (source.channels == 1) {
      bgr = rgb;
    } else {
      cv::cvtColor(rgb, bgr, source.channels == 3 ? cv::COLOR_RGB2BGR : cv::COLOR_RGBA2BGRA);
    }
    if (!cv::imencode(extension, bgr, bytes, {jpeg ? cv::IMWRITE_JPEG_QUALITY : cv::IMWRITE_WEBP_QUALITY, 95})) bytes.clear();
  } catch (const cv::Exception&) {
    bytes.clear();
  }
  if (bytes.empty()) {
    fail(ExitCode::kBadInput, "a picture of {}x{} cannot be encoded as {} (JPEG: sides up to 65500, WebP: up to 16383); save it as .png", image.width,
         image.height, extension);
  }
  return std::string(bytes.begin(), bytes.end());
}

}  // namespace attelier
