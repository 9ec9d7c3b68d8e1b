// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Words to streams; see stream.h.

#include "bench/stream.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>

#include "engine/bytes.h"

namespace vxlnat::bench {

namespace {

constexpr std::uint8_t kTtl = 64;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint16_t kDontFragment = 0x4000;
constexpr std::uint8_t kSyn = 2;
// Ethernet's least frame, without its trailing checksum.
constexpr std::size_t kMinFrame = 60;

using Words = std::map<std::string, std::uint64_t>;

std::uint64_t take(Words* words, const std::string& key,
                   std::uint64_t otherwise = 0) {
  const auto found = words->find(key);
  if (found == words->end()) return otherwise;
  const std::uint64_t value = found->second;
  words->erase(found);
  return value;
}

std::uint32_t take32(Words* words, const std::string& key,
                     std::uint32_t otherwise = 0) {
  return static_cast<std::uint32_t>(take(words, key, otherwise));
}

field take_field(Words* words, const std::string& name) {
  return {take32(words, name), take32(words, name + "_shift"),
          take32(words, name + "_mask")};
}

void put_ethernet(std::uint8_t* p, std::uint64_t to, std::uint64_t from) {
  put_mac(p, to);
  put_mac(p + 6, from);
  put16(p + 12, 0x0800);
}

std::uint32_t sum_of(const std::uint8_t* p, std::size_t length) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < length; i += 2) sum += get16(p + i);
  return sum;
}

// An IP header without addresses and checksum, and what of L4 is constant.
void put_inner(std::uint8_t* ip, std::uint16_t length, std::uint32_t id,
               stream* s) {
  ip[0] = 0x45;
  put16(ip + 2, length);
  put16(ip + 6, s->fragment != 0 ? static_cast<std::uint16_t>(s->fragment)
                                 : kDontFragment);
  ip[8] = kTtl;
  ip[9] = static_cast<std::uint8_t>(s->proto);
  std::uint8_t* l4 = ip + 20;
  const auto l4_length = static_cast<std::uint16_t>(length - 20);
  if (s->proto == kTcp) {
    l4[12] = 5 << 4;
    l4[13] = kSyn;
    put16(l4 + 14, 0xffff);
  } else {
    put16(l4 + 4, l4_length);
    put32(l4 + 8, MARK | id);
  }
  s->ip_sum = sum_of(ip, 20);
  s->l4_sum = sum_of(l4, 20) + s->proto + l4_length;
}

void put_outer(std::uint8_t* ip, std::size_t length, Words* words) {
  ip[0] = 0x45;
  put16(ip + 2, static_cast<std::uint16_t>(length));
  put16(ip + 6, kDontFragment);
  ip[8] = kTtl;
  ip[9] = 17;
  put32(ip + 12, take32(words, "cn_ip"));
  put32(ip + 16, take32(words, "gw_ip"));
  std::uint32_t sum = sum_of(ip, 20);
  while (sum > 0xffff) sum = (sum >> 16) + (sum & 0xffff);
  put16(ip + 10, static_cast<std::uint16_t>(~sum));
  put16(ip + 22, 4789);
  put16(ip + 24, static_cast<std::uint16_t>(length - 20));
  ip[28] = 8;
}

}  // namespace

std::string make_stream(std::uint32_t id, const std::vector<std::string>& list,
                        Made* made) {
  Words words;
  for (const std::string& word : list) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) return "no '=' in " + word;
    words[word.substr(0, equals)] =
        std::strtoull(word.c_str() + equals + 1, nullptr, 10);
  }
  *made = {};
  stream& s = made->s;
  s.src = take_field(&words, "src");
  s.dst = take_field(&words, "dst");
  s.sport = take_field(&words, "sport");
  s.dport = take_field(&words, "dport");
  s.public_ = take_field(&words, "public");
  s.order = take32(&words, "order");
  s.flows_mask = take32(&words, "flows", 1) - 1;
  s.vni = take32(&words, "vni");
  s.proto = take32(&words, "proto", 17);
  s.fragment = take32(&words, "fragment");
  s.on = 1;
  s.interval = take(&words, "interval");
  s.limit = take(&words, "limit");

  const auto length = static_cast<std::uint16_t>(take(&words, "bytes", 50));
  if (length < 40) return "bytes: at least 40";
  made->out.assign(INNER_IP + length, 0);
  made->in.assign(std::max<std::size_t>(14u + length, kMinFrame), 0);
  std::uint8_t* out = made->out.data();
  std::uint8_t* in = made->in.data();
  put_ethernet(out, take(&words, "gw_mac"), take(&words, "cn_mac"));
  put_outer(out + 14, made->out.size() - 14, &words);
  put32(out + 46, s.vni << 8);
  put_ethernet(out + 50, take(&words, "router_mac"), take(&words, "host_mac"));
  put_inner(out + INNER_IP, length, id, &s);
  put_ethernet(in, take(&words, "ext_mac"), take(&words, "inet_mac"));
  put_inner(in + 14, length, id, &s);
  std::memcpy(s.out_head, out, sizeof(s.out_head));
  std::memcpy(s.in_head, in, sizeof(s.in_head));
  if (!words.empty()) return "unknown word " + words.begin()->first;
  return {};
}

}  // namespace vxlnat::bench
