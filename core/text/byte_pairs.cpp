#include "core/text/byte_pairs.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "core/base/error.h"

namespace attelier::text {
namespace {

void append_utf8(std::string& target, UChar32 c) {
  char bytes[U8_MAX_LENGTH];
  int32_t size = 0;
  U8_APPEND_UNSAFE(bytes, size, c);
  target.append(bytes, static_cast<size_t>(size));
}

bool is_ideograph(UChar32 c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

enum class Class { kSpace, kLetter, kNumber, kOther };

Class class_of(UChar32 c) {
  if (u_isUWhiteSpace(c)) return Class::kSpace;
  const uint32_t mask = U_GET_GC_MASK(c);
  return mask & U_GC_L_MASK ? Class::kLetter : mask & U_GC_N_MASK ? Class::kNumber : Class::kOther;
}

// The length of the contraction that `text` starts with, or 0.
size_t contraction(std::string_view text) {
  for (const std::string_view ending : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
    if (text.starts_with(ending)) return ending.size();
  }
  return 0;
}

struct ByteTables {
  std::array<std::string, 256> symbols;
  std::array<uint8_t, 256> order;
};

ByteTables make_byte_tables() {
  ByteTables tables;
  size_t printable = 0, other = 188;
  UChar32 next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool keeps = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    append_utf8(tables.symbols[static_cast<size_t>(byte)], keeps ? byte : next++);
    tables.order[keeps ? printable++ : other++] = static_cast<uint8_t>(byte);
  }
  return tables;
}

const ByteTables& byte_tables() {
  static const ByteTables tables = make_byte_tables();
  return tables;
}

// ICU counts in 32 bits; no prompt or caption comes near.
void check_size(std::string_view text) {
  constexpr size_t kMost = size_t{1} << 28;
  if (text.size() > kMost) fail(ExitCode::kBadInput, "the text has {} bytes; at most {} are read", text.size(), kMost);
}

// NFC of well-formed UTF-8.
std::string composed(const std::string& text) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(status);
  std::string result;
  icu::StringByteSink<std::string> sink(&result);
  if (U_SUCCESS(status)) nfc->normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<int32_t>(text.size())), sink, nullptr, status);
  if (U_FAILURE(status)) fail(ExitCode::kUnexpected, "the text cannot be normalised: {}", u_errorName(status));
  return result;
}

}  // namespace

const std::array<std::string, 256>& byte_symbols() { return byte_tables().symbols; }
const std::array<uint8_t, 256>& bytes_by_id() { return byte_tables().order; }

std::string valid_utf8(std::string_view text) {
  check_size(text);
  std::string result;
  result.reserve(text.size());
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  for (int32_t i = 0, size = static_cast<int32_t>(text.size()); i < size;) {
    UChar32 c;
    U8_NEXT_OR_FFFD(bytes, i, size, c);
    append_utf8(result, c);
  }
  return result;
}

std::string normalised(std::string_view text, bool cjk_split) {
  const std::string whole = composed(valid_utf8(text));
  std::string result;
  result.reserve(whole.size());
  const auto* bytes = reinterpret_cast<const uint8_t*>(whole.data());
  bool space = false;  // one is due before the next character
  for (int32_t i = 0, size = static_cast<int32_t>(whole.size()); i < size;) {
    UChar32 c;
    U8_NEXT_OR_FFFD(bytes, i, size, c);
    if (u_isUWhiteSpace(c)) {
      space = true;
      continue;
    }
    const bool split = cjk_split && is_ideograph(c);
    if ((space || split) && !result.empty() && result.back() != ' ') result += ' ';
    space = split;
    if (c == 0x130) {  // the one character whose lower case, context aside, is two
      result += "i\u0307";
    } else {
      append_utf8(result, u_tolower(c));
    }
  }
  return result;
}

std::vector<std::string_view> pieces(std::string_view text) {
  std::vector<std::string_view> result;
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  const auto size = static_cast<int32_t>(text.size());
  for (int32_t begin = 0; begin < size;) {
    if (const size_t length = contraction(text.substr(static_cast<size_t>(begin))); length > 0) {
      result.push_back(text.substr(static_cast<size_t>(begin), length));
      begin += static_cast<int32_t>(length);
      continue;
    }
    int32_t end = begin;
    UChar32 c;
    U8_NEXT_OR_FFFD(bytes, end, size, c);
    const Class first = class_of(c);
    while (end < size && (first == Class::kLetter || first == Class::kOther)) {
      int32_t next = end;
      U8_NEXT_OR_FFFD(bytes, next, size, c);
      if (class_of(c) != first) break;
      end = next;
    }
    if (first != Class::kSpace) result.push_back(text.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin)));
    begin = end;
  }
  return result;
}

}  // namespace attelier::text
