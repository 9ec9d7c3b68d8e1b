// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Idle round trips: one datagram at a time.
//
//   rr serve PORT              answers each datagram with itself, for ever
//   rr ask IP PORT FROM COUNT  JSON {"us": [...], "lost": n}

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr std::size_t kBytes = 32;
// The first rounds resolve addresses and make the flow.
constexpr int kWarm = 200;
// A path that loses more than this is not measured to its end.
constexpr int kPatience = 50;

sockaddr_in address(const char* ip, int port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(static_cast<std::uint16_t>(port));
  inet_pton(AF_INET, ip, &a.sin_addr);
  return a;
}

int bound(const sockaddr_in& to) {
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) {
    std::perror("rr: bind");
    std::exit(1);
  }
  return fd;
}

[[noreturn]] void serve(int port) {
  const int fd = bound(address("0.0.0.0", port));
  std::puts("ready");
  std::fflush(stdout);
  for (;;) {
    char bytes[kBytes];
    sockaddr_in peer{};
    socklen_t size = sizeof(peer);
    auto* from = reinterpret_cast<sockaddr*>(&peer);
    const ssize_t n = recvfrom(fd, bytes, sizeof(bytes), 0, from, &size);
    if (n > 0) sendto(fd, bytes, static_cast<std::size_t>(n), 0, from, size);
  }
}

int ask(const char* ip, int port, const char* from, int count) {
  using Clock = std::chrono::steady_clock;
  const int fd = bound(address(from, 0));
  const timeval patience{0, 200'000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  const sockaddr_in to = address(ip, port);
  connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to));
  int lost = 0;
  std::printf("{\"us\":[");
  const char* comma = "";
  for (int i = -kWarm; i < count; i++) {
    char bytes[kBytes] = {};
    std::memcpy(bytes, &i, sizeof(i));
    const auto start = Clock::now();
    int back = 0;
    bool answered = send(fd, bytes, sizeof(bytes), 0) == kBytes;
    // An answer to an earlier one that was given up is not this one's.
    do {
      answered = answered && recv(fd, bytes, sizeof(bytes), 0) == kBytes;
      std::memcpy(&back, bytes, sizeof(back));
    } while (answered && back != i);
    const std::chrono::duration<double, std::micro> took = Clock::now() - start;
    if (i < 0 && answered) continue;
    if (!answered) {
      if (++lost > kPatience) break;
      continue;
    }
    std::printf("%s%.2f", comma, took.count());
    comma = ",";
  }
  std::printf("],\"lost\":%d}\n", lost);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "serve") == 0) {
    serve(std::atoi(argv[2]));
  }
  if (argc == 6 && std::strcmp(argv[1], "ask") == 0) {
    return ask(argv[2], std::atoi(argv[3]), argv[4], std::atoi(argv[5]));
  }
  std::fprintf(stderr, "usage: rr serve PORT | rr ask IP PORT FROM COUNT\n");
  return 2;
}
