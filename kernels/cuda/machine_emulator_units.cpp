#include "kernels/cuda/machine_emulator_units.h"

#include <limits>
#include <stdexcept>

namespace attelier::kernels::cuda::emulator {
namespace {

constexpr int kProductRows = 64, kProductDepth = 16;
const float kNan = std::numeric_limits<float>::quiet_NaN();

[[noreturn]] void refuse(const std::string& what) { throw std::logic_error(what); }

TensorBoxes boxes_of(const TensorMap& map) {
  TensorBoxes boxes;
  std::memcpy(&boxes, map.bytes, sizeof boxes);
  return boxes;
}

/// Row and column of register i of a lane of the warpgroup in D.
int row_of(int lane, int i) { return 16 * (lane / kLanes) + lane % kLanes / 4 + 8 * (i % 4 / 2); }
int column_of(int lane, int i) { return i / 4 * 8 + 2 * (lane % 4) + i % 2; }

struct Operand {
  uint32_t address, leading_offset, stride_offset;
};

Operand decode(uint64_t bits) {
  if (bits >> 62 != 1) refuse("an operand without the 128-byte swizzle");
  if ((bits >> 49 & 7) != 0) refuse("an operand with a base offset");
  const auto field = [&](int at) { return static_cast<uint32_t>(bits >> at & 0x3fff) << 4; };
  return {field(0), field(16), field(32)};
}

/// Element (i, k) of an operand whose rows run along k, and of one whose rows run along i.
uint32_t by_column(const Operand& o, uint32_t i, uint32_t k) { return swizzled(o.address + i / 8 * o.stride_offset + i % 8 * kBoxRowBytes + 2 * k); }
uint32_t by_row(const Operand& o, uint32_t i, uint32_t k) {
  return swizzled(o.address + i / kBoxColumns * o.leading_offset + i % kBoxColumns * 2 + k / 8 * o.stride_offset + k % 8 * kBoxRowBytes);
}

/// [16, count], k first.
template <typename Address>
std::vector<uint16_t> read(const SharedMemory& memory, uint64_t bits, int count, bool is_new, const Address& address_of) {
  const Operand operand = decode(bits);
  std::vector<uint16_t> elements;
  elements.reserve(static_cast<size_t>(kProductDepth * count));
  for (int k = 0; k < kProductDepth; ++k)
    for (int i = 0; i < count; ++i) {
      const uint32_t address = address_of(operand, static_cast<uint32_t>(i), static_cast<uint32_t>(k));
      if (is_new && memory.is_unshown(address)) refuse("a product reads a store that has not been shown before a barrier");
      elements.push_back(memory.element(address));
    }
  return elements;
}

float number(uint16_t bits, bool is_bfloat16) { return is_bfloat16 ? to_float(BFloat16{bits}) : to_float(Float16{bits}); }

}  // namespace

char* SharedMemory::at(uint32_t address, int64_t bytes) const {
  if (address + bytes > bytes_) refuse("an address beyond shared memory");
  return data_ + address;
}

uint16_t SharedMemory::element(uint32_t address) const {
  uint16_t bits;
  std::memcpy(&bits, at(address, sizeof bits), sizeof bits);
  return bits;
}

void Barriers::start(uint32_t barrier, int arrivals) {
  if (barrier % 8 != 0) refuse("a barrier is not on 8 bytes");
  if (!all_.emplace(barrier, Barrier{arrivals, arrivals, 0, 0, {}}).second) refuse("a barrier is started twice");
}

Barriers::Barrier& Barriers::find(uint32_t barrier) {
  const auto found = all_.find(barrier);
  if (found == all_.end()) refuse("a barrier that has not been started");
  return found->second;
}

bool Barriers::finish_phase(Barrier& barrier) {
  if (barrier.missing > 0 || barrier.bytes != 0) return false;
  barrier.missing = barrier.arrivals;
  ++barrier.phase;
  return true;
}

bool Barriers::arrive(uint32_t barrier, int64_t expected_bytes) {
  Barrier& found = find(barrier);
  if (found.missing == 0) refuse("more arrivals at a barrier than its phase has");
  found.bytes += expected_bytes;
  --found.missing;
  return finish_phase(found);
}

void Barriers::copy(SharedMemory& memory, uint32_t target, const TensorMap& map, std::array<int, 4> first, uint32_t barrier) {
  const TensorBoxes boxes = boxes_of(map);
  if (target % kBoxRowBytes != 0) refuse("a box is not on 128 bytes");
  std::memset(memory.at(target, boxes.box_rows * kBoxRowBytes), 0xff, static_cast<size_t>(boxes.box_rows * kBoxRowBytes));
  find(barrier).copies.push_back({target, boxes, first});
}

void Barriers::land(SharedMemory& memory, const Copy& copy) {
  const TensorBoxes& t = copy.boxes;
  const auto [first_column, first_row, head, batch] = copy.first;
  for (int r = 0; r < t.box_rows; ++r)
    for (int c = 0; c < kBoxColumns; ++c) {
      const int64_t row = first_row + r, column = first_column + c;
      const bool inside = row >= 0 && row < t.rows && column >= 0 && column < t.columns && head >= 0 && head < t.heads && batch >= 0 && batch < t.batches;
      uint16_t bits = 0;
      if (inside) std::memcpy(&bits, static_cast<const char*>(t.data) + batch * t.batch_stride + head * t.head_stride + row * t.row_stride + column * 2, sizeof bits);
      std::memcpy(memory.at(swizzled(copy.target + static_cast<uint32_t>(r * kBoxRowBytes + c * 2)), sizeof bits), &bits, sizeof bits);
    }
}

bool Barriers::is_complete(SharedMemory& memory, uint32_t barrier, int parity) {
  Barrier& found = find(barrier);
  const auto complete = [&] { return static_cast<int>(found.phase & 1) != parity; };
  if (!complete() && found.missing == 0) {
    for (const Copy& copy : found.copies) {
      land(memory, copy);
      found.bytes -= copy.boxes.box_rows * kBoxRowBytes;
    }
    found.copies.clear();
    finish_phase(found);
  }
  return complete();
}

std::string Barriers::unfinished() const {
  for (const auto& [address, barrier] : all_)
    if (!barrier.copies.empty()) return "copies in flight";
  return {};
}

void MatrixUnit::multiply(const SharedMemory& memory, const std::array<const Product*, kWarpgroup>& lanes) {
  if (!started_) refuse("a product before the registers were handed over");
  const Product& any = *lanes[0];
  const int columns = 8 * any.columns;
  Issued issued;
  issued.group = groups_;
  for (int l = 0; l < kWarpgroup; ++l) {
    const Product& lane = issued.lanes[static_cast<size_t>(l)] = *lanes[static_cast<size_t>(l)];
    if (lane.a_operand != any.a_operand || lane.b_operand != any.b_operand || lane.columns != any.columns || lane.add != any.add || lane.is_bfloat16 != any.is_bfloat16 || !lane.a != !any.a)
      refuse("threads of a warpgroup multiply different operands");
    for (size_t i = 0; i < 4 && lane.a; ++i) issued.words[static_cast<size_t>(l)][i] = lane.a[i];
  }
  issued.b = any.a ? read(memory, any.b_operand, columns, true, by_row) : read(memory, any.b_operand, columns, true, by_column);
  float a[kProductDepth][kProductRows];
  if (any.a) {
    for (int l = 0; l < kWarpgroup; ++l)
      for (int i = 0; i < 4; ++i)
        for (int half = 0; half < 2; ++half) {
          const int row = 16 * (l / kLanes) + l % kLanes / 4 + 8 * (i % 2), k = 2 * (l % 4) + 8 * (i / 2) + half;
          a[k][row] = number(static_cast<uint16_t>(issued.words[static_cast<size_t>(l)][static_cast<size_t>(i)] >> (16 * half)), any.is_bfloat16);
        }
  } else {
    issued.a = read(memory, any.a_operand, kProductRows, true, by_column);
    for (int k = 0; k < kProductDepth; ++k)
      for (int i = 0; i < kProductRows; ++i) a[k][i] = number(issued.a[static_cast<size_t>(k * kProductRows + i)], any.is_bfloat16);
  }

  Accumulator& accumulator = accumulators_[any.d];
  if (accumulator.products == 0) {
    accumulator.values.resize(static_cast<size_t>(kProductRows * columns));
    for (int l = 0; l < kWarpgroup; ++l)
      for (int i = 0; i < columns / 2; ++i) {
        float& d = issued.lanes[static_cast<size_t>(l)].d[i];
        accumulator.values[static_cast<size_t>(row_of(l, i) * columns + column_of(l, i))] = d;
        d = kNan;
      }
  }
  ++accumulator.products;
  std::vector<float> b;
  for (const uint16_t bits : issued.b) b.push_back(number(bits, any.is_bfloat16));
  for (int row = 0; row < kProductRows; ++row) {
    std::vector<float> sums(static_cast<size_t>(columns));
    for (int k = 0; k < kProductDepth; ++k)
      for (int column = 0; column < columns; ++column) sums[static_cast<size_t>(column)] += a[k][row] * b[static_cast<size_t>(k * columns + column)];
    float* const d = accumulator.values.data() + row * columns;
    for (int column = 0; column < columns; ++column) d[column] = (any.add ? d[column] : 0) + sums[static_cast<size_t>(column)];
  }
  products_.push_back(std::move(issued));
}

void MatrixUnit::wait(const SharedMemory& memory, int pending) {
  size_t done = 0;
  for (; done < products_.size() && products_[done].group < groups_ - pending; ++done) {
    const Issued& p = products_[done];
    const Product& any = p.lanes[0];
    const int columns = 8 * any.columns;
    if (p.b != (any.a ? read(memory, any.b_operand, columns, false, by_row) : read(memory, any.b_operand, columns, false, by_column)) ||
        (!any.a && p.a != read(memory, any.a_operand, kProductRows, false, by_column)))
      refuse("shared memory changes under a product");
    for (size_t l = 0; l < kWarpgroup && any.a; ++l)
      for (size_t i = 0; i < 4; ++i)
        if (p.lanes[l].a[i] != p.words[l][i]) refuse("a register of A changes under a product");
    Accumulator& accumulator = accumulators_[any.d];
    if (--accumulator.products > 0) continue;
    for (int l = 0; l < kWarpgroup; ++l)
      for (int i = 0; i < columns / 2; ++i) {
        float& d = p.lanes[static_cast<size_t>(l)].d[i];
        if (__builtin_bit_cast(uint32_t, d) != __builtin_bit_cast(uint32_t, kNan)) refuse("an accumulator changes under a product");
        d = accumulator.values[static_cast<size_t>(row_of(l, i) * columns + column_of(l, i))];
      }
    accumulators_.erase(any.d);
  }
  products_.erase(products_.begin(), products_.begin() + static_cast<std::ptrdiff_t>(done));
  if (pending == 0 && !products_.empty()) refuse("a wait for products that were not committed");
  started_ = false;
}

}  // namespace attelier::kernels::cuda::emulator
