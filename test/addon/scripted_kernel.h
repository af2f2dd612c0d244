#pragma once

#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "socket/kernel.h"
#include "socket/message.h"

using Blob = std::vector<std::uint8_t>;

inline Blob operator+(Blob left, const Blob& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

/** A message with `payload`, padded. */
inline Blob message(std::uint16_t type, std::uint16_t flags, std::uint32_t sequence, const Blob& payload = {}) {
  const nlmsghdr header{static_cast<std::uint32_t>(sizeof(nlmsghdr) + payload.size()), type, flags, sequence, 0};
  Blob bytes(sizeof header);
  std::memcpy(bytes.data(), &header, sizeof header);
  bytes = std::move(bytes) + payload;
  bytes.resize(ovs_dpif::padded(bytes.size()));
  return bytes;
}

template <typename T>
Blob blob_of(const T& value) {
  Blob bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

inline Blob attribute(std::uint16_t type, const Blob& value) {
  const nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + value.size()), type};
  Blob bytes = blob_of(header) + value;
  bytes.resize(ovs_dpif::padded(bytes.size()));
  return bytes;
}

inline Blob extended_ack(const std::string& text, std::uint32_t offset) {
  Blob value(text.begin(), text.end());
  value.push_back(0);
  return attribute(NLMSGERR_ATTR_MSG, value) + attribute(NLMSGERR_ATTR_OFFS, blob_of(offset));
}

/** NLMSG_ERROR as the kernel writes it with NETLINK_CAP_ACK; `error` is a positive errno, 0 for an ACK. */
inline Blob nak(std::uint32_t sequence, int error, const Blob& attributes = {}) {
  std::uint16_t flags = NLM_F_CAPPED;
  if (!attributes.empty()) flags |= NLM_F_ACK_TLVS;
  return message(NLMSG_ERROR, flags, sequence, blob_of(std::int32_t{-error}) + Blob(sizeof(nlmsghdr)) + attributes);
}

inline Blob ack(std::uint32_t sequence) { return nak(sequence, 0); }

/** A kernel that answers as a test says. Everything it was sent is kept in `sent`. */
class ScriptedKernel final : public ovs_dpif::Kernel {
 public:
  struct Datagram {
    Blob bytes;
    /** Errno of the read instead of a datagram, 0 for none. */
    int error = 0;
    std::uint32_t sender = 0;
  };

  /** Called for each send with its bytes; queues answers, and returns 0 or an errno. */
  std::function<int(const Blob&)> on_send = [](const Blob&) { return 0; };
  /** Called before each poll; may queue. */
  std::function<void()> on_poll = [] {};
  std::deque<Datagram> queue;
  std::vector<Blob> sent;
  std::vector<int> recv_flags;
  int receive_buffer = 8 << 20;
  int send_buffer = 2 << 20;
  int open_sockets = 0;
  /** System call to fail, and how. */
  std::string failing;
  int failure = EIO;
  /** EINTRs before each send, recvfrom and poll. */
  int interrupts = 0;

  void say(Blob bytes) { queue.push_back({std::move(bytes), 0, 0}); }
  void fail(int error) { queue.push_back({{}, error, 0}); }

  int socket(int, int, int) override { return failing == "socket" ? -failure : (open_sockets++, 7); }
  int bind(int, const sockaddr*, socklen_t) override { return failing == "bind" ? -failure : 0; }
  int connect(int, const sockaddr*, socklen_t) override { return failing == "connect" ? -failure : 0; }

  int getsockname(int, sockaddr* address, socklen_t*) override {
    if (failing == "getsockname") return -failure;
    reinterpret_cast<sockaddr_nl*>(address)->nl_pid = 4711;
    return 0;
  }

  int setsockopt(int, int, int name, const void*, socklen_t) override {
    return failing == "force" && (name == SO_RCVBUFFORCE || name == SO_SNDBUFFORCE) ? -EPERM : 0;
  }

  int getsockopt(int, int, int name, void* value, socklen_t*) override {
    std::memcpy(value, name == SO_RCVBUF ? &receive_buffer : &send_buffer, sizeof(int));
    return 0;
  }

  ssize_t send(int, const void* from, std::size_t size, int) override {
    if (interrupted()) return -EINTR;
    const auto* bytes = static_cast<const std::uint8_t*>(from);
    sent.emplace_back(bytes, bytes + size);
    const int error = on_send(sent.back());
    return error != 0 ? -error : static_cast<ssize_t>(sent.back().size());
  }

  ssize_t recvfrom(int, void* to, std::size_t room, int flags, sockaddr* from, socklen_t*) override {
    if (interrupted()) return -EINTR;
    recv_flags.push_back(flags);
    if (queue.empty()) return -EAGAIN;
    const Datagram datagram = queue.front();
    queue.pop_front();
    if (datagram.error != 0) return -datagram.error;
    auto* sender = reinterpret_cast<sockaddr_nl*>(from);
    *sender = {};
    sender->nl_family = AF_NETLINK;
    sender->nl_pid = datagram.sender;
    const std::size_t size = std::min(room, datagram.bytes.size());
    if (size > 0) std::memcpy(to, datagram.bytes.data(), size);
    return static_cast<ssize_t>(datagram.bytes.size());
  }

  int poll(pollfd*, nfds_t, int) override {
    if (interrupted()) return -EINTR;
    on_poll();
    return queue.empty() ? 0 : 1;
  }

  int eventfd(unsigned, int) override { return -ENOSYS; }
  ssize_t write(int, const void*, std::size_t) override { return -ENOSYS; }

  int close(int) override {
    open_sockets--;
    return 0;
  }

 private:
  bool interrupted() {
    if (interrupts == interrupts_done_) {
      interrupts_done_ = 0;
      return false;
    }
    interrupts_done_++;
    return true;
  }

  int interrupts_done_ = 0;
};
