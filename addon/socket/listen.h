#pragma once

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "socket/message.h"
#include "socket/netlink_socket.h"
#include "socket/result.h"

namespace ovs_dpif {

/** What was waiting in the sockets of a listener. */
struct ListenPage {
  /** Bytes of whole messages at the start of the caller's page. */
  std::size_t size = 0;
  /** How many sockets have told that something did not fit in. Each tells once, until it has been read empty. */
  std::uint32_t overruns = 0;
  /** Nothing was left in any socket. */
  bool drained = false;
  /** It was interrupted: nothing comes any more. */
  bool ended = false;
  /** Set when a socket failed; what was read before is good. */
  SocketError error;
};

/**
 * Sockets the kernel sends to by itself, read together. Nothing is read that nobody asks for, so what is not asked for waits in the
 * kernel, in buffers of a fixed size, and what does not fit there is dropped there.
 *
 * One thread at a time, but for `interrupt`.
 */
class Listener {
 public:
  /**
   * The least room for a read. A message is a packet, a cookie and a list of actions, attributes of 64 KiB at most each, and keys;
   * one that were larger still is an error.
   */
  static constexpr std::size_t kLeastRoom = 256 << 10;
  static constexpr std::size_t kMostSockets = 64;

  /** The first of the sockets joins the multicast `groups`. */
  Listener(Kernel& kernel, int protocol, std::size_t sockets, int receive_buffer,
           std::vector<std::uint32_t> groups = {});
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /** Opens all sockets, or none. */
  SocketError open();

  /** The port id of each socket. */
  std::vector<std::uint32_t> port_ids() const;

  /** Waits until there is something, then reads what is there while the page has `kLeastRoom`. */
  ListenPage next(WritableBytes page);

  /** Ends a `next` that waits, and all later ones. From any thread. */
  void interrupt();

  /** Closes the sockets. */
  void close();

 private:
  SocketError open_all();
  SocketError wait(bool& interrupted);
  void read_all(WritableBytes page, ListenPage& result);
  bool read_one(std::size_t index, WritableBytes page, ListenPage& result);
  void keep(WritableBytes room, std::size_t size, ListenPage& result);

  Kernel& kernel_;
  int protocol_;
  int receive_buffer_;
  std::vector<std::uint32_t> groups_;
  std::vector<std::unique_ptr<NetlinkSocket>> sockets_;
  /** One for each socket, then the one that interrupts. */
  std::vector<pollfd> watched_;
  /** Readable once interrupted, or the errno, negative, of why it is not there. Never changes. */
  const int wake_;
};

}  // namespace ovs_dpif
