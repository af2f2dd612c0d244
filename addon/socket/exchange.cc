#include "socket/exchange.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace ovs_dpif {

namespace {

constexpr std::size_t kMaxBytes = 512 << 10;
// A reply is built in one page and charged with its bookkeeping, about 4.3 KiB; twice a page each cannot overflow.
constexpr std::size_t kReceiveBytesPerMessage = 8192;
constexpr std::size_t kFirstBuffer = 64 << 10;
constexpr std::size_t kLargestBuffer = 1 << 20;

// ENOBUFS promises "answer lost, outcome unknown". A send that found no memory was not carried out at all.
int send_errno(int error) { return error == ENOBUFS ? ENOMEM : error; }

}  // namespace

Exchanger::Exchanger(NetlinkSocket& socket) : socket_(socket) {}

ExchangeResult Exchanger::exchange(WritableBytes batch) {
  result_ = {};
  const Framing framing = check_framing(batch);
  if (!framing.whole) {
    result_.error = {"framing", EBADMSG};
    return std::exchange(result_, {});
  }
  result_.count = framing.count;
  // A fresh range for each exchange: an answer that arrives late is then not taken for one of ours.
  base_ = next_sequence_;
  next_sequence_ += framing.count;
  if (buffer_.empty()) buffer_.resize(kFirstBuffer);

  Burst burst;
  while (!batch.empty()) {
    const std::uint32_t first = burst.first + burst.count;
    burst = {};
    burst.first = first;
    burst.failures_before = result_.failures.size();
    cut_and_stamp(batch, burst);
    const int error = socket_.send(batch.first(burst.size));
    if (error != 0) {
      for (std::uint32_t index = first; index < result_.count; index++) {
        result_.failures.push_back({index, {send_errno(error), {}, {}}});
      }
      break;
    }
    result_.error = collect(burst);
    if (result_.error) break;
    settle(burst);
    batch = batch.subspan(burst.size);
  }
  return std::exchange(result_, {});
}

void Exchanger::cut_and_stamp(WritableBytes rest, Burst& burst) {
  const std::size_t by_buffer = socket_.receive_buffer() / kReceiveBytesPerMessage;
  const auto max_messages = std::clamp<std::size_t>(by_buffer, 1, kMaxMessages);
  const std::size_t max_bytes = std::min(kMaxBytes, socket_.send_buffer() / 2);

  std::size_t last = 0;
  while (burst.size < rest.size() && burst.count < max_messages) {
    const std::size_t size = message_size(rest.subspan(burst.size));
    if (burst.count > 0 && burst.size + size > max_bytes) break;
    auto header = load<nlmsghdr>(rest, burst.size);
    header.nlmsg_seq = base_ + burst.first + burst.count;
    header.nlmsg_pid = socket_.port_id();
    store(rest, burst.size, header);
    last = burst.size;
    burst.size += size;
    burst.count++;
  }
  auto header = load<nlmsghdr>(rest, last);
  header.nlmsg_flags |= NLM_F_ACK;
  store(rest, last, header);
}

SocketError Exchanger::collect(Burst& burst) {
  while (!burst.complete) {
    const Received received = socket_.receive(buffer_);
    if (received.error == EAGAIN) break;
    if (received.error == ENOBUFS) {
      // The queue overflowed; what was queued before is still there and still true.
      burst.answers_lost = true;
      continue;
    }
    if (received.error != 0) return {"receive", received.error};
    if (!received.from_kernel) continue;
    read_datagram(Bytes(buffer_).first(std::min(received.size, buffer_.size())), burst);
    if (received.truncated) buffer_.resize(std::clamp(received.size, buffer_.size(), kLargestBuffer));
  }
  return {};
}

void Exchanger::read_datagram(Bytes datagram, Burst& burst) {
  while (!datagram.empty()) {
    if (datagram.size() < kHeaderSize || load<nlmsghdr>(datagram).nlmsg_len < kHeaderSize) {
      burst.answers_lost = true;
      return;
    }
    const auto header = load<nlmsghdr>(datagram);
    if (header.nlmsg_len > datagram.size()) return read_cut_message(header, datagram, burst);
    read_message(header, datagram.first(header.nlmsg_len), burst);
    datagram = datagram.subspan(std::min(padded(header.nlmsg_len), datagram.size()));
  }
}

void Exchanger::read_message(const nlmsghdr& header, Bytes message, Burst& burst) {
  if (header.nlmsg_type == NLMSG_OVERRUN) {
    burst.answers_lost = true;
    return;
  }
  // Unsigned, so an answer to an earlier exchange or send turns into a large number and is dropped.
  const std::uint32_t position = header.nlmsg_seq - base_ - burst.first;
  if (position >= burst.count) return;
  const Bytes payload = message.subspan(kHeaderSize);
  if (header.nlmsg_type == NLMSG_ERROR) {
    answer(position, read_error(header, payload), burst);
  } else if (header.nlmsg_type == NLMSG_DONE) {
    // Only a dump ends with DONE, and it has no ACK; nobody should put one in a batch, but it must not look lost.
    answer(position, read_done(header, payload), burst);
  } else if (header.nlmsg_type >= NLMSG_MIN_TYPE) {
    add_reply(burst.first + position, message);
    if (burst.outcomes[position] == Outcome::unknown) burst.outcomes[position] = Outcome::answered;
  }
}

// The end of the datagram did not fit. A refusal still shows its errno; a reply is of no use, and whoever waits for it
// must not be told that all is well.
void Exchanger::read_cut_message(const nlmsghdr& header, Bytes rest, Burst& burst) {
  const std::uint32_t position = header.nlmsg_seq - base_ - burst.first;
  if (position >= burst.count) {
    burst.answers_lost = true;
    return;
  }
  const Bytes payload = rest.subspan(kHeaderSize);
  if (header.nlmsg_type == NLMSG_ERROR && payload.size() >= sizeof(std::int32_t)) {
    nlmsghdr without_text = header;
    without_text.nlmsg_flags &= static_cast<std::uint16_t>(~NLM_F_ACK_TLVS);
    answer(position, read_error(without_text, payload), burst);
  } else if (burst.outcomes[position] != Outcome::refused) {
    burst.outcomes[position] = Outcome::lost;
  }
}

void Exchanger::answer(std::uint32_t position, Refusal refusal, Burst& burst) {
  Outcome& outcome = burst.outcomes[position];
  if (position == burst.count - 1) burst.complete = true;
  if (refusal.error == 0) {
    if (outcome == Outcome::unknown) outcome = Outcome::answered;
    return;
  }
  if (outcome == Outcome::refused) return;
  outcome = Outcome::refused;
  result_.failures.push_back({burst.first + position, std::move(refusal)});
}

void Exchanger::add_reply(std::uint32_t index, Bytes message) {
  auto& replies = result_.replies;
  const std::size_t start = replies.size();
  replies.insert(replies.end(), message.begin(), message.end());
  replies.resize(padded(replies.size()));
  store(WritableBytes(replies), start + offsetof(nlmsghdr, nlmsg_seq), index);
}

void Exchanger::settle(Burst& burst) {
  const bool proven = burst.complete && !burst.answers_lost;
  for (std::uint32_t position = 0; position < burst.count; position++) {
    const Outcome outcome = burst.outcomes[position];
    if (outcome == Outcome::lost || (outcome == Outcome::unknown && !proven)) {
      result_.failures.push_back({burst.first + position, {ENOBUFS, {}, {}}});
    }
  }
  const auto ours = result_.failures.begin() + static_cast<std::ptrdiff_t>(burst.failures_before);
  std::sort(ours, result_.failures.end(),
            [](const Failure& a, const Failure& b) { return a.index < b.index; });
}

}  // namespace ovs_dpif
