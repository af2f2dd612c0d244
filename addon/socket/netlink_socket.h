#pragma once

#include <cstddef>
#include <cstdint>

#include "socket/kernel.h"
#include "socket/message.h"
#include "socket/result.h"

namespace ovs_dpif {

/** One datagram, or why there is none. */
struct Received {
  /** Positive errno; 0 when a datagram was read. */
  int error = 0;
  /** Bytes of the datagram, also when fewer were stored. */
  std::size_t size = 0;
  bool truncated = false;
  /** Only the kernel is believed; any process with CAP_NET_ADMIN can send to a netlink socket. */
  bool from_kernel = false;
};

/** A bound netlink socket with extended acks, large buffers, and no group memberships but those that are asked for. Closes itself. */
class NetlinkSocket {
 public:
  explicit NetlinkSocket(Kernel& kernel) : kernel_(kernel) {}
  ~NetlinkSocket() { close(); }
  NetlinkSocket(const NetlinkSocket&) = delete;
  NetlinkSocket& operator=(const NetlinkSocket&) = delete;

  /** What is asked for where nobody says otherwise: 4 MiB of answers. */
  static constexpr int kReceiveBuffer = 4 << 20;

  /** Opens the socket unless it is open. */
  SocketError open(int protocol, int receive_buffer = kReceiveBuffer);
  void close();

  /** Has what is sent to a multicast group sent here too; returns 0 or a positive errno. */
  int join(std::uint32_t group);

  bool is_open() const { return fd_ >= 0; }
  /** For `poll`; negative when it is closed. */
  int descriptor() const { return fd_; }
  std::uint32_t port_id() const { return port_id_; }
  /** Buffer sizes as the kernel granted them, which is not what was asked for. */
  std::size_t receive_buffer() const { return receive_buffer_; }
  std::size_t send_buffer() const { return send_buffer_; }

  /** Sends all of `bytes` as one datagram; returns 0 or a positive errno. */
  int send(Bytes bytes);

  /** Reads one datagram without waiting; EAGAIN when there is none. */
  Received receive(WritableBytes buffer);

  /** Waits for a datagram; returns 0, ETIMEDOUT or another positive errno. */
  int wait(int timeout_ms);

 private:
  SocketError configure(int receive_buffer);
  std::size_t grow_buffer(int force_name, int name, int size);

  Kernel& kernel_;
  int fd_ = -1;
  std::uint32_t port_id_ = 0;
  std::size_t receive_buffer_ = 0;
  std::size_t send_buffer_ = 0;
};

}  // namespace ovs_dpif
