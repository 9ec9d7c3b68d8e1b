// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Readers of JavaScript values; see field.h.

#include "addon/field.h"

#include <arpa/inet.h>

#include <charconv>
#include <cmath>

namespace vxlnat::addon {

namespace {

bool parse_ip(const std::string& text, std::uint32_t* ip) {
  in_addr address{};
  // inet_pton refuses leading zeros, short forms and trailing text.
  if (inet_pton(AF_INET, text.c_str(), &address) != 1) return false;
  *ip = ntohl(address.s_addr);
  return true;
}

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Field Field::get(const char* name) const {
  // An array is an object too, but no transfer type is one.
  if (!value_.IsObject() || value_.IsArray()) {
    fail("expected an object, got " + shown());
  }
  const Napi::Value member = value_.As<Napi::Object>().Get(name);
  const Field field(this, member, name, 0);
  if (member.IsUndefined()) field.fail("missing");
  return field;
}

Field Field::at(std::uint32_t index) const {
  return Field(this, value_.As<Napi::Array>().Get(index), nullptr, index);
}

std::uint32_t Field::array_length() const {
  if (!value_.IsArray()) fail("expected an array, got " + shown());
  return value_.As<Napi::Array>().Length();
}

bool Field::boolean() const {
  if (!value_.IsBoolean()) fail("expected true or false, got " + shown());
  return value_.As<Napi::Boolean>().Value();
}

std::string Field::text() const {
  if (!value_.IsString()) fail("expected a string, got " + shown());
  return value_.As<Napi::String>().Utf8Value();
}

std::uint64_t Field::number(std::uint64_t low, std::uint64_t high) const {
  const double number =
      value_.IsNumber() ? value_.As<Napi::Number>().DoubleValue() : NAN;
  if (!(number >= static_cast<double>(low)) ||
      !(number <= static_cast<double>(high)) || std::floor(number) != number) {
    fail("expected a whole number from " + std::to_string(low) + " to " +
         std::to_string(high) + ", got " + shown());
  }
  return static_cast<std::uint64_t>(number);
}

std::uint32_t Field::ip() const {
  std::uint32_t ip = 0;
  if (!value_.IsString() || !parse_ip(text(), &ip)) {
    fail("expected an IPv4 address, got " + shown());
  }
  return ip;
}

std::uint64_t Field::mac() const {
  const std::string from = value_.IsString() ? text() : "";
  std::uint64_t mac = 0;
  bool ok = from.size() == 17;
  for (std::size_t i = 0; ok && i < 17; i++) {
    if (i % 3 == 2) {
      ok = from[i] == ':';
      continue;
    }
    const int digit = hex(from[i]);
    ok = digit >= 0;
    mac = mac << 4 | static_cast<std::uint64_t>(digit & 15);
  }
  if (!ok) fail("expected a MAC address, got " + shown());
  return mac;
}

Prefix Field::prefix() const {
  const std::string from = value_.IsString() ? text() : "";
  const std::size_t slash = from.find('/');
  std::uint32_t ip = 0;
  unsigned bits = 33;
  if (slash != std::string::npos && parse_ip(from.substr(0, slash), &ip)) {
    const char* end = from.data() + from.size();
    const auto read = std::from_chars(from.data() + slash + 1, end, bits);
    if (read.ptr != end || read.ec != std::errc{}) bits = 33;
  }
  if (bits > 32) fail("expected a prefix such as 10.0.0.0/8, got " + shown());
  if (bits < 32 && ip << bits != 0) {
    fail("has bits set behind its /" + std::to_string(bits));
  }
  return {ip, static_cast<std::uint8_t>(bits)};
}

void Field::fail(const std::string& problem) const {
  throw NamedError("FieldError", path() + ": " + problem);
}

std::string Field::path() const {
  if (parent_ == nullptr) return name_;
  if (name_ == nullptr) {
    return parent_->path() + "[" + std::to_string(index_) + "]";
  }
  return parent_->path() + "." + name_;
}

std::string Field::shown() const {
  if (value_.IsNull()) return "null";
  if (value_.IsUndefined()) return "undefined";
  if (value_.IsArray()) return "an array";
  if (value_.IsFunction()) return "a function";
  if (value_.IsObject()) return "an object";
  if (value_.IsSymbol()) return "a symbol";
  std::string text = value_.ToString().Utf8Value();
  if (text.size() > 60) text = text.substr(0, 60) + "...";
  return value_.IsString() ? "\"" + text + "\"" : text;
}

}  // namespace vxlnat::addon
