#include "socket/listen.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace ovs_dpif {

Listener::Listener(Kernel& kernel, int protocol, std::size_t sockets, int receive_buffer,
                   std::vector<std::uint32_t> groups)
    : kernel_(kernel),
      protocol_(protocol),
      receive_buffer_(receive_buffer),
      groups_(std::move(groups)),
      wake_(kernel.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  for (std::size_t index = 0; index < sockets; index++) sockets_.push_back(std::make_unique<NetlinkSocket>(kernel));
}

Listener::~Listener() {
  close();
  if (wake_ >= 0) kernel_.close(wake_);
}

SocketError Listener::open() {
  if (wake_ < 0) return {"eventfd", -wake_};
  const SocketError error = open_all();
  if (error) {
    close();
    return error;
  }
  watched_.clear();
  for (const auto& socket : sockets_) watched_.push_back({socket->descriptor(), POLLIN, 0});
  watched_.push_back({wake_, POLLIN, 0});
  return {};
}

SocketError Listener::open_all() {
  for (const auto& socket : sockets_) {
    if (const SocketError error = socket->open(protocol_, receive_buffer_)) return error;
  }
  for (const std::uint32_t group : groups_) {
    if (const int error = sockets_.front()->join(group)) return {"join", error};
  }
  return {};
}

std::vector<std::uint32_t> Listener::port_ids() const {
  std::vector<std::uint32_t> ids;
  for (const auto& socket : sockets_) ids.push_back(socket->port_id());
  return ids;
}

void Listener::interrupt() {
  const std::uint64_t one = 1;
  // It stays readable: nobody reads it. A full counter is as readable as can be, so no failure matters.
  if (wake_ >= 0) kernel_.write(wake_, &one, sizeof one);
}

void Listener::close() {
  for (const auto& socket : sockets_) socket->close();
  watched_.clear();
}

ListenPage Listener::next(WritableBytes page) {
  ListenPage result;
  if (watched_.empty()) {
    result.ended = true;
    return result;
  }
  // Others than the kernel may wake us with what is dropped; then there is nothing to tell yet.
  while (result.size == 0 && result.overruns == 0 && !result.error && !result.ended) {
    result.error = wait(result.ended);
    if (!result.error && !result.ended) read_all(page, result);
  }
  return result;
}

SocketError Listener::wait(bool& interrupted) {
  int count;
  do count = kernel_.poll(watched_.data(), watched_.size(), -1);
  while (count == -EINTR);
  if (count < 0) return {"poll", -count};
  interrupted = watched_.back().revents != 0;
  return {};
}

// One datagram of each socket in turn, so that one that is flooded does not keep the others waiting.
void Listener::read_all(WritableBytes page, ListenPage& result) {
  std::size_t left = 0;
  do {
    left = 0;
    for (std::size_t index = 0; index < sockets_.size(); index++) {
      if (watched_[index].revents == 0) continue;
      if (page.size() - result.size < kLeastRoom) return;
      if (read_one(index, page, result)) left++;
      else watched_[index].revents = 0;
      if (result.error) return;
    }
  } while (left > 0);
  result.drained = true;
}

/** False when there is nothing in it for now. */
bool Listener::read_one(std::size_t index, WritableBytes page, ListenPage& result) {
  const WritableBytes room = page.subspan(result.size);
  const Received received = sockets_[index]->receive(room);
  if (received.error == EAGAIN) return false;
  if (received.error == ENOBUFS) {
    // What was queued before is still there.
    result.overruns++;
  } else if (received.error != 0) {
    result.error = {"receive", received.error};
  } else if (received.from_kernel) {
    if (received.truncated) result.error = {"receive", EMSGSIZE};
    else keep(room, received.size, result);
  }
  return true;
}

/** Keeps the messages of a datagram, as far as they are whole. */
void Listener::keep(WritableBytes room, std::size_t size, ListenPage& result) {
  std::size_t kept = 0;
  std::size_t offset = 0;
  while (offset < size) {
    const Bytes rest = Bytes(room).subspan(offset, size - offset);
    const std::size_t length = rest.size() < kHeaderSize ? 0 : load<nlmsghdr>(rest).nlmsg_len;
    if (length < kHeaderSize || length > rest.size() || padded(length) > room.size() - offset) {
      result.error = {"receive", EBADMSG};
      break;
    }
    const auto header = load<nlmsghdr>(rest);
    offset += std::min(padded(length), rest.size());
    if (header.nlmsg_type == NLMSG_OVERRUN) result.overruns++;
    // Other control messages answer requests, and none are made here.
    if (header.nlmsg_type < NLMSG_MIN_TYPE) continue;
    // A message that is passed over leaves a gap; closing it keeps the page one run of messages.
    if (room.data() + kept != rest.data()) std::memmove(room.data() + kept, rest.data(), length);
    std::memset(room.data() + kept + length, 0, padded(length) - length);
    kept += padded(length);
  }
  result.size += kept;
}

}  // namespace ovs_dpif
