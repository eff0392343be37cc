#include "core/media/flow_file.h"

#include <gtest/gtest.h>

#include "core/base/error.h"

namespace attelier {
namespace {

TEST(FlowFile, ComesBackAsItWas) {
  FlowField flow{3, 2, {}};
  for (int i = 0; i < 12; ++i) flow.xy.push_back(0.37f * static_cast<float>(i) - 2);
  const std::string bytes = encode_flow(flow);
  // The format's own words: PIEH, then little-endian width and height.
  EXPECT_EQ(bytes.substr(0, 4), "PIEH");
  EXPECT_EQ(bytes.substr(4, 8), std::string("\3\0\0\0\2\0\0\0", 8));
  EXPECT_EQ(bytes.size(), 12u + 12 * 4);
  const FlowField back = decode_flow(bytes, "test");
  EXPECT_EQ(back.width, 3);
  EXPECT_EQ(back.height, 2);
  EXPECT_EQ(back.xy, flow.xy);
}

TEST(FlowFile, DamageIsRefused) {
  const std::string good = encode_flow({2, 2, std::vector<float>(8)});
  for (size_t size = 0; size < good.size(); ++size) EXPECT_THROW(decode_flow(good.substr(0, size), "cut"), Error) << size;
  EXPECT_THROW(decode_flow(good + "x", "long"), Error);
  std::string huge = good;
  huge[6] = huge[10] = '\x7f';
  EXPECT_THROW(decode_flow(huge, "huge"), Error);
  std::string foreign = good;
  foreign[0] = 'Q';
  EXPECT_THROW(decode_flow(foreign, "foreign"), Error);
}

}  // namespace
}  // namespace attelier
