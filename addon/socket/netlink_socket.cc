#include "socket/netlink_socket.h"

#include <cerrno>

namespace ovs_dpif {

namespace {

// Several times what exchange sends at once, so that a single message of unusual size still fits.
constexpr int kSendBuffer = 1 << 20;

sockaddr_nl any_address() {
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  return address;
}

}  // namespace

SocketError NetlinkSocket::open(int protocol, int receive_buffer) {
  if (is_open()) return {};
  const int fd = kernel_.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0) return {"socket", -fd};
  fd_ = fd;
  const SocketError error = configure(receive_buffer);
  if (error) close();
  return error;
}

SocketError NetlinkSocket::configure(int receive_buffer) {
  receive_buffer_ = grow_buffer(SO_RCVBUFFORCE, SO_RCVBUF, receive_buffer);
  send_buffer_ = grow_buffer(SO_SNDBUFFORCE, SO_SNDBUF, kSendBuffer);

  // Before Linux 4.3 and 4.12 these do not exist; answers are then longer, and have no text.
  const int on = 1;
  kernel_.setsockopt(fd_, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  kernel_.setsockopt(fd_, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);

  sockaddr_nl address = any_address();
  int result = kernel_.bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address);
  if (result < 0) return {"bind", -result};
  socklen_t size = sizeof address;
  result = kernel_.getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
  if (result < 0) return {"getsockname", -result};
  port_id_ = address.nl_pid;

  // Connected to the kernel, other processes get ECONNREFUSED and cannot fill our receive buffer.
  address = any_address();
  result = kernel_.connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address);
  if (result < 0) return {"connect", -result};
  return {};
}

// FORCE goes past the system's limit and needs CAP_NET_ADMIN; without it we take what the limit allows.
std::size_t NetlinkSocket::grow_buffer(int force_name, int name, int size) {
  if (kernel_.setsockopt(fd_, SOL_SOCKET, force_name, &size, sizeof size) < 0) {
    kernel_.setsockopt(fd_, SOL_SOCKET, name, &size, sizeof size);
  }
  int granted = 0;
  socklen_t length = sizeof granted;
  if (kernel_.getsockopt(fd_, SOL_SOCKET, name, &granted, &length) < 0 || granted < 0) return 0;
  return static_cast<std::size_t>(granted);
}

void NetlinkSocket::close() {
  if (!is_open()) return;
  // Linux has freed the descriptor even when close reports EINTR, so it is never tried twice.
  kernel_.close(fd_);
  fd_ = -1;
}

int NetlinkSocket::join(std::uint32_t group) {
  const int result = kernel_.setsockopt(fd_, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group);
  return result < 0 ? -result : 0;
}

int NetlinkSocket::send(Bytes bytes) {
  ssize_t result;
  // EINTR comes before the datagram is handed over, so sending again does not send twice.
  do result = kernel_.send(fd_, bytes.data(), bytes.size(), 0);
  while (result == -EINTR);
  return result < 0 ? static_cast<int>(-result) : 0;
}

Received NetlinkSocket::receive(WritableBytes buffer) {
  sockaddr_nl sender{};
  socklen_t length = sizeof sender;
  ssize_t result;
  // Not recvmsg(), whose header is one more thing to copy both ways for every datagram.
  do
    result = kernel_.recvfrom(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_TRUNC,
                              reinterpret_cast<sockaddr*>(&sender), &length);
  while (result == -EINTR);

  Received received;
  if (result < 0) {
    received.error = static_cast<int>(-result);
    return received;
  }
  received.size = static_cast<std::size_t>(result);
  received.truncated = received.size > buffer.size();
  received.from_kernel = sender.nl_family == AF_NETLINK && sender.nl_pid == 0;
  return received;
}

int NetlinkSocket::wait(int timeout_ms) {
  pollfd readable{fd_, POLLIN, 0};
  int result;
  do result = kernel_.poll(&readable, 1, timeout_ms);
  while (result == -EINTR);
  if (result < 0) return -result;
  return result == 0 ? ETIMEDOUT : 0;
}

}  // namespace ovs_dpif
