#include "socket/dump.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace ovs_dpif {

namespace {

constexpr std::uint32_t kSequence = 1;
// The kernel answers while it is asked, so this only bounds what should not happen.
constexpr int kTimeoutMs = 10'000;

}  // namespace

Dump::Dump(Kernel& kernel, int protocol, std::vector<std::uint8_t> request)
    : socket_(kernel), protocol_(protocol), request_(std::move(request)) {}

DumpPage Dump::next(WritableBytes page) {
  DumpPage result;
  if (ended_) {
    result.last = true;
    return result;
  }
  if (!socket_.is_open()) {
    if (const SocketError error = start()) {
      end(result, error);
      return result;
    }
  }
  while (!result.last && receive(page, result)) {
  }
  return result;
}

void Dump::close() {
  ended_ = true;
  socket_.close();
}

SocketError Dump::start() {
  const Framing framing = check_framing(request_);
  if (!framing.whole || framing.count != 1) return {"framing", EBADMSG};
  if (const SocketError error = socket_.open(protocol_)) return error;

  auto header = load<nlmsghdr>(request_);
  // The ACK is for a request the kernel does not take for a dump: it ends what would otherwise never end.
  header.nlmsg_flags |= NLM_F_REQUEST | NLM_F_DUMP | NLM_F_ACK;
  header.nlmsg_seq = kSequence;
  header.nlmsg_pid = socket_.port_id();
  store(request_, 0, header);
  if (const int error = socket_.send(request_)) return {"send", error};
  return {};
}

/** Reads one datagram behind what the page holds already. False when the page is done for now. */
bool Dump::receive(WritableBytes page, DumpPage& result) {
  const WritableBytes room = page.subspan(result.size);
  // The kernel sizes the parts of a dump by the largest read offered so far, up to 32 KiB (netlink_recvmsg()); some need more
  // (min_dump_alloc). Each finds the same room, wherever on a page it comes.
  if (result.size > 0 && room.size() < kLeastPage) return false;
  const Received received = socket_.receive(room);
  if (received.error == EAGAIN) {
    if (result.size > 0) return false;
    if (const int error = socket_.wait(kTimeoutMs)) end(result, {"poll", error});
    return true;
  }
  if (received.error != 0) {
    end(result, {"receive", received.error});
  } else if (received.from_kernel) {
    if (received.truncated) {
      end(result, {"receive", EMSGSIZE});
    } else {
      read_datagram(room, received.size, result);
    }
  }
  return true;
}

void Dump::read_datagram(WritableBytes room, std::size_t size, DumpPage& result) {
  std::size_t kept = 0;
  std::size_t offset = 0;
  while (offset < size && !result.last) {
    const Bytes rest = Bytes(room).subspan(offset, size - offset);
    const std::size_t length = rest.size() < kHeaderSize ? 0 : load<nlmsghdr>(rest).nlmsg_len;
    if (length < kHeaderSize || length > rest.size() || padded(length) > room.size() - offset) {
      end(result, {"receive", EBADMSG});
      break;
    }
    const auto header = load<nlmsghdr>(rest);
    const Bytes payload = rest.subspan(kHeaderSize, length - kHeaderSize);
    const std::size_t step = std::min(padded(length), rest.size());
    offset += step;
    if (header.nlmsg_seq != kSequence) continue;
    if (header.nlmsg_flags & NLM_F_DUMP_INTR) interrupted_ = true;

    if (header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR) {
      result.refusal =
          header.nlmsg_type == NLMSG_DONE ? read_done(header, payload) : read_error(header, payload);
      end(result, {});
    } else if (header.nlmsg_type == NLMSG_OVERRUN) {
      end(result, {"receive", ENOBUFS});
    } else if (header.nlmsg_type >= NLMSG_MIN_TYPE) {
      // Messages that are not part of the page leave a gap; closing it keeps the page one run of messages.
      if (kept != offset - step) std::memmove(room.data() + kept, rest.data(), length);
      std::memset(room.data() + kept + length, 0, padded(length) - length);
      kept += padded(length);
    }
  }
  result.size += kept;
}

void Dump::end(DumpPage& result, SocketError error) {
  result.last = true;
  result.error = error;
  result.interrupted = interrupted_;
  close();
}

}  // namespace ovs_dpif
