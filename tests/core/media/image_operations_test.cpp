// Resizing, cropping, colours and tensors.
#include "core/media/resample.h"
#include "tests/core/media/media_testing.h"

namespace attelier {
namespace {

TEST(Resize, IsPillowsLanczosToTheBit) {
  for (const auto& fixture : media_fixture("resize.json")) {
    const auto from = fixture["from"].get<std::vector<int64_t>>(), to = fixture["to"].get<std::vector<int64_t>>();
    const Image result = resize_lanczos(pattern(from[0], from[1], from[2]), to[0], to[1]);
    EXPECT_EQ(result.width, to[0]);
    EXPECT_EQ(result.height, to[1]);
    EXPECT_EQ(result.channels, from[2]);
    EXPECT_TRUE(bytes_of(result) == from_hex(fixture["pixels"])) << fixture["from"] << " to " << fixture["to"];
  }
}

TEST(Resize, IsPillowsBilinearAndBicubicToTheBit) {
  for (const auto& fixture : media_fixture("resample.json")) {
    const auto from = fixture["from"].get<std::vector<int64_t>>(), to = fixture["to"].get<std::vector<int64_t>>();
    const Image result = resize(pattern(from[0], from[1], from[2]), to[0], to[1], fixture["filter"] == "bilinear" ? Resampling::kBilinear : Resampling::kBicubic);
    EXPECT_TRUE(bytes_of(result) == from_hex(fixture["pixels"])) << fixture["filter"] << " " << fixture["from"] << " to " << fixture["to"];
  }
}

TEST(Resize, KeepsAPictureOfTheRightSizeAndConstantColours) {
  const Image image = pattern(9, 7, 4);
  EXPECT_EQ(resize_lanczos(image, 9, 7).pixels, image.pixels);
  const Image flat{5, 4, 1, std::vector<uint8_t>(20, 77)};
  EXPECT_EQ(resize_lanczos(flat, 13, 3).pixels, std::vector<uint8_t>(39, 77));
}

TEST(Resize, RefusesImpossibleSizes) {
  EXPECT_EQ(error_of([] { resize_lanczos(pattern(2, 2, 3), 0, 5); }, "0x5"), ExitCode::kBadInput);
  EXPECT_EQ(error_of([] { resize_lanczos(pattern(2, 2, 3), 5, 65537); }, "65536"), ExitCode::kBadInput);
  EXPECT_EQ(error_of([] { resize_lanczos(Image{}, 5, 5); }, "empty picture"), ExitCode::kBadInput);
}

TEST(Crop, TakesTheRectangle) {
  const Image image = pattern(6, 5, 3);
  const Image part = crop(image, 2, 1, 3, 4);
  ASSERT_EQ(part.pixels.size(), 36u);
  EXPECT_TRUE(at::equal(to_tensor(part), to_tensor(image).slice(3, 2, 5).slice(2, 1, 5)));
  EXPECT_EQ(error_of([&] { crop(image, 4, 0, 3, 2); }, "6x5"), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { crop(image, -1, 0, 3, 2); }, "-1"), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { crop(image, 0, 0, 0, 2); }, "0x2"), ExitCode::kBadInput);
}

TEST(Crop, TheCentreSquareRoundsHalfToEven) {
  // Python: round(0.5) = 0, round(1.5) = 2, round(2.5) = 2.
  for (const auto& [rest, offset] : {std::pair{0, 0}, {1, 0}, {2, 1}, {3, 2}, {4, 2}, {5, 2}, {7, 4}}) {
    const Image wide = pattern(4 + rest, 4, 1), high = pattern(4, 4 + rest, 1);
    EXPECT_EQ(centre_crop_square(wide).pixels, crop(wide, offset, 0, 4, 4).pixels) << rest;
    EXPECT_EQ(centre_crop_square(high).pixels, crop(high, 0, offset, 4, 4).pixels) << rest;
  }
}

TEST(Colours, RgbRepeatsGrayAndPutsAlphaOnWhite) {
  EXPECT_EQ(to_rgb({2, 1, 1, {5, 200}}).pixels, (std::vector<uint8_t>{5, 5, 5, 200, 200, 200}));
  EXPECT_EQ(to_rgb({3, 1, 4, {10, 20, 30, 255, 10, 20, 30, 0, 0, 100, 255, 51}}).pixels,
            (std::vector<uint8_t>{10, 20, 30, 255, 255, 255, 204, 224, 255}));
  const Image image = pattern(3, 3, 3);
  EXPECT_EQ(to_rgb(image).pixels, image.pixels);
}

TEST(Colours, GrayIsPillowsLuma) {
  // Image.convert("L") of these colours.
  EXPECT_EQ(to_gray({4, 1, 3, {255, 0, 0, 0, 255, 0, 0, 0, 255, 1, 2, 3}}).pixels, (std::vector<uint8_t>{76, 150, 29, 2}));
  EXPECT_EQ(to_gray({1, 1, 4, {255, 255, 255, 0}}).pixels, std::vector<uint8_t>{255});
}

TEST(Tensors, ThereAndBackIsExact) {
  for (const int64_t channels : {1, 3, 4}) {
    const Image image = pattern(37, 29, channels);
    const at::Tensor tensor = to_tensor(image);
    EXPECT_EQ(tensor.sizes(), (std::vector<int64_t>{1, channels, 29, 37}));
    EXPECT_EQ(tensor.scalar_type(), at::kFloat);
    EXPECT_FLOAT_EQ(tensor[0][channels - 1][3][5].item<float>(),
                    static_cast<float>(image.pixels[static_cast<size_t>((3 * 37 + 5) * channels + channels - 1)]) / 255);
    EXPECT_EQ(to_image(tensor).pixels, image.pixels);
    EXPECT_EQ(to_image(tensor.expand({1, channels, 29, 37}).flip(3).flip(3)).pixels, image.pixels);
  }
}

TEST(Tensors, RoundHalfToEvenOrTruncateAndClamp) {
  const at::Tensor values = at::tensor({0.5F / 255, 1.5F / 255, 2.5F / 255, 200.9F / 255, -1.0F, 2.0F}).view({1, 1, 2, 3});
  EXPECT_EQ(to_image(values).pixels, (std::vector<uint8_t>{0, 2, 2, 201, 0, 255}));
  EXPECT_EQ(to_image(values, true).pixels, (std::vector<uint8_t>{0, 1, 2, 200, 0, 255}));
}

TEST(Tensors, RefusesNanAndWrongShapes) {
  EXPECT_EQ(error_of([] { to_image(at::full({1, 3, 2, 2}, NAN)); }, "NaN"), ExitCode::kNumerical);
  EXPECT_EQ(error_of([] { to_image(at::full({1, 3, 2, 2}, INFINITY)); }, "NaN"), ExitCode::kNumerical);
  EXPECT_EQ(error_of([] { to_image(at::zeros({2, 3, 2, 2})); }, "2x3x2x2"), ExitCode::kBadInput);
  EXPECT_EQ(error_of([] { to_image(at::zeros({1, 2, 2, 2})); }, "1x2x2x2"), ExitCode::kBadInput);
  EXPECT_EQ(error_of([] { to_image(at::zeros({1, 3, 0, 2})); }, "1x3x0x2"), ExitCode::kBadInput);
}

}  // namespace
}  // namespace attelier
