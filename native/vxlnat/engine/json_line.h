// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// One line of JSON in memory of a fixed size: what the engine tells people
// about a packet. Keys and texts are static words of ours that need no
// escaping. What finds no room is left out, value by value; `fits` tells.

#ifndef VXLNAT_ENGINE_JSON_LINE_H_
#define VXLNAT_ENGINE_JSON_LINE_H_

#include <array>
#include <charconv>
#include <cstring>
#include <string_view>

#include "engine/types.h"

namespace vxlnat {

class JsonLine {
 public:
  // What a caller may keep free for the end of its line.
  static constexpr std::size_t kTail = 512;

  // A place to come back to.
  struct Mark {
    std::size_t used;
    bool comma;
  };

  std::string_view view() const { return {bytes_.data(), used_}; }
  void clear() { back_to({0, false}); }
  Mark mark() const { return {used_, comma_}; }
  void back_to(const Mark& mark) {
    used_ = mark.used;
    comma_ = mark.comma;
    fits_ = true;
  }
  // Everything so far was written, and kTail bytes are left.
  bool fits() const { return fits_ && used_ + kTail <= bytes_.size(); }

  void open() { put_open('{'); }
  void open_list(std::string_view key) {
    put_key(key);
    put_open('[');
  }
  void close() { put_close('}'); }
  void close_list() { put_close(']'); }

  void text(std::string_view key, std::string_view value) {
    put_key(key);
    put("\"");
    put(value);
    put("\"");
  }
  void null(std::string_view key) {
    put_key(key);
    put("null");
  }
  void flag(std::string_view key, bool value) {
    put_key(key);
    put(value ? "true" : "false");
  }
  void number(std::string_view key, std::uint64_t value) {
    put_key(key);
    put_number(value);
  }
  void ip(std::string_view key, Ip4 value) {
    put_key(key);
    put("\"");
    put_ip(value);
    put("\"");
  }
  // `10.0.0.1:80`.
  void endpoint(std::string_view key, Ip4 value, std::uint16_t port) {
    put_key(key);
    put("\"");
    put_ip(value);
    put(":");
    put_number(port);
    put("\"");
  }
  void prefix(std::string_view key, const Prefix& value) {
    put_key(key);
    put("\"");
    put_ip(value.address);
    put("/");
    put_number(value.bits);
    put("\"");
  }
  void mac(std::string_view key, Mac value) {
    constexpr char digits[] = "0123456789abcdef";
    char shown[17];
    for (unsigned i = 0; i < 6; i++) {
      const auto octet = static_cast<unsigned>(value >> (40 - 8 * i)) & 255;
      shown[i * 3] = digits[octet >> 4];
      shown[i * 3 + 1] = digits[octet & 15];
      if (i < 5) shown[i * 3 + 2] = ':';
    }
    text(key, {shown, sizeof shown});
  }

 private:
  void put(std::string_view part) {
    if (used_ + part.size() > bytes_.size()) {
      fits_ = false;
      return;
    }
    std::memcpy(bytes_.data() + used_, part.data(), part.size());
    used_ += part.size();
  }
  void put_number(std::uint64_t value) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, value);
    put({digits, static_cast<std::size_t>(end.ptr - digits)});
  }
  void put_ip(Ip4 value) {
    for (unsigned shift = 32; shift > 0;) {
      shift -= 8;
      put_number(value >> shift & 255);
      if (shift > 0) put(".");
    }
  }
  void put_key(std::string_view key) {
    if (comma_) put(",");
    put("\"");
    put(key);
    put("\":");
    comma_ = true;
  }
  void put_open(char bracket) {
    // After a key the comma is there already.
    if (comma_ && used_ > 0 && bytes_[used_ - 1] != ':') put(",");
    put({&bracket, 1});
    comma_ = false;
  }
  void put_close(char bracket) {
    put({&bracket, 1});
    comma_ = true;
  }

  std::array<char, 8192> bytes_;
  std::size_t used_ = 0;
  bool comma_ = false;
  bool fits_ = true;
};

}  // namespace vxlnat

#endif  // VXLNAT_ENGINE_JSON_LINE_H_
