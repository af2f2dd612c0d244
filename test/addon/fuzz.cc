// Answers that no kernel gives. What is checked: no crash, no endless loop, and results that keep their promises.
// Built with -DLIBFUZZER (clang) it is a libFuzzer target; otherwise it mutates good answers by itself, from a seed.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "listening_kernel.h"
#include "scripted_kernel.h"
#include "socket/dump.h"
#include "socket/exchange.h"
#include "socket/listen.h"

using namespace ovs_dpif;

namespace {

constexpr std::uint32_t kMessages = 6;

void require(bool truth, const char* what) {
  if (truth) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

/** Cuts `data` into datagrams: two bytes of size and flags, then that many bytes. */
void script(ScriptedKernel& kernel, Bytes data) {
  while (data.size() >= 2) {
    const auto control = load<std::uint16_t>(data);
    data = data.subspan(2);
    const std::size_t size = std::min<std::size_t>(control & 0x7ff, data.size());
    if (control & 0x8000) {
      kernel.fail(control & 0x4000 ? ENOBUFS : EAGAIN);
    } else {
      kernel.queue.push_back({Blob(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(size)), 0,
                              control & 0x4000 ? 99u : 0u});
    }
    data = data.subspan(size);
  }
}

void try_exchange(Bytes data) {
  ScriptedKernel kernel;
  kernel.on_send = [&](const Blob&) { return script(kernel, data), 0; };
  NetlinkSocket socket(kernel);
  socket.open(0);
  Blob batch;
  for (std::uint32_t i = 0; i < kMessages; i++) batch = std::move(batch) + message(0x20, NLM_F_REQUEST, 0, Blob(4));
  const ExchangeResult result = Exchanger(socket).exchange(batch);
  require(result.count == kMessages, "count");
  std::int64_t before = -1;
  for (const auto& failure : result.failures) {
    require(failure.index < kMessages && failure.index > before, "failures ascend and are in range");
    require(failure.refusal.error > 0, "errno is positive");
    before = failure.index;
  }
  require(check_framing(result.replies).whole, "replies are whole");
  for (std::size_t at = 0; at < result.replies.size(); at += message_size(Bytes(result.replies).subspan(at))) {
    require(load<nlmsghdr>(result.replies, at).nlmsg_seq < kMessages, "replies name a message");
  }
}

void try_dump(Bytes data) {
  ScriptedKernel kernel;
  kernel.on_send = [&](const Blob&) { return script(kernel, data), 0; };
  Dump dump(kernel, 0, message(0x12, 0, 0, Blob(4)));
  Blob page(Dump::kLeastPage);
  for (bool last = false; !last;) {
    const DumpPage result = dump.next(page);
    require(check_framing(Bytes(page).first(result.size)).whole, "pages are whole");
    require(result.last || result.size > 0, "every page but the last holds something");
    last = result.last;
  }
  require(kernel.open_sockets == 0, "an ended dump is closed");
}

void try_listen(Bytes data) {
  ListeningKernel kernel;
  ScriptedKernel parts;
  script(parts, data);
  Listener listener(kernel, 16, 2, 4096);
  listener.open();
  int turn = 0;
  for (auto& part : parts.queue) kernel.queues[ListeningKernel::kFirst + turn++ % 2].push_back(std::move(part));
  kernel.on_poll = [&] {
    if (kernel.queues[ListeningKernel::kFirst].empty() && kernel.queues[ListeningKernel::kFirst + 1].empty()) {
      listener.interrupt();
    }
  };
  static Blob page(2 * Listener::kLeastRoom);
  for (bool over = false; !over;) {
    const ListenPage result = listener.next(page);
    require(check_framing(Bytes(page).first(result.size)).whole, "pages are whole");
    require(result.ended || result.error || result.size > 0 || result.overruns > 0, "every page tells something");
    over = result.ended || result.error;
  }
}

void try_framing(Bytes data) {
  const Framing framing = check_framing(data);
  require(framing.end <= data.size(), "framing ends within");
  require(framing.whole == (framing.end == data.size()), "whole means all of it");
}

void try_all(Bytes data) {
  try_exchange(data);
  try_dump(data);
  try_listen(data);
  try_framing(data);
}

}  // namespace

#ifdef LIBFUZZER

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try_all({data, size});
  return 0;
}

#else

namespace {

Blob good_answers(std::mt19937& random) {
  const auto datagram = [](const Blob& bytes, std::uint16_t flags = 0) {
    return blob_of(static_cast<std::uint16_t>(bytes.size() | flags)) + bytes;
  };
  Blob data;
  for (std::uint32_t sequence = 1; sequence <= kMessages; sequence++) {
    switch (random() % 8) {
      case 0: data = data + datagram(nak(sequence, EINVAL, extended_ack("no such thing", 20))); break;
      case 1: data = data + datagram(message(0x30, NLM_F_MULTI, sequence, Blob(random() % 64))); break;
      case 2: data = data + datagram(message(0x30, NLM_F_MULTI, 1, Blob(9)) + message(0x30, NLM_F_MULTI, 1)); break;
      case 3: data = data + datagram({}, random() % 2 ? 0x8000 : 0xc000); break;
      case 4: data = data + datagram(ack(sequence), random() % 2 ? 0x4000 : 0); break;
      case 5: data = data + datagram(message(NLMSG_DONE, 2, 1, blob_of(std::int32_t{-5}))); break;
      default: break;
    }
  }
  return data + datagram(ack(kMessages));
}

void mutate(Blob& data, std::mt19937& random) {
  static constexpr std::uint8_t kInteresting[] = {0, 1, 3, 4, 15, 16, 17, 0x7f, 0x80, 0xff};
  for (auto times = random() % 6; times > 0 && !data.empty(); times--) {
    const std::size_t at = random() % data.size();
    switch (random() % 4) {
      case 0: data[at] ^= static_cast<std::uint8_t>(1u << (random() % 8)); break;
      case 1: data[at] = kInteresting[random() % sizeof kInteresting]; break;
      case 2: data.resize(at); break;
      default: data.insert(data.begin() + static_cast<std::ptrdiff_t>(at), kInteresting[random() % 10]);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned long rounds = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 200'000;
  const unsigned long seed = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 1;
  std::mt19937 random(static_cast<std::uint32_t>(seed));
  for (unsigned long round = 0; round < rounds; round++) {
    Blob data = good_answers(random);
    mutate(data, random);
    try_all(data);
  }
  std::printf("ok 1 - %lu mutated answers, seed %lu, break no promise\n1..1\n", rounds, seed);
  return 0;
}

#endif
