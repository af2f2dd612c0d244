#include "socket/kernel.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

namespace ovs_dpif {

namespace {

template <typename Result>
Result errno_if_negative(Result result) {
  return result < 0 ? static_cast<Result>(-errno) : result;
}

}  // namespace

int SystemKernel::socket(int domain, int type, int protocol) {
  return errno_if_negative(::socket(domain, type, protocol));
}

int SystemKernel::bind(int fd, const sockaddr* address, socklen_t size) {
  return errno_if_negative(::bind(fd, address, size));
}

int SystemKernel::connect(int fd, const sockaddr* address, socklen_t size) {
  return errno_if_negative(::connect(fd, address, size));
}

int SystemKernel::getsockname(int fd, sockaddr* address, socklen_t* size) {
  return errno_if_negative(::getsockname(fd, address, size));
}

int SystemKernel::setsockopt(int fd, int level, int name, const void* value, socklen_t size) {
  return errno_if_negative(::setsockopt(fd, level, name, value, size));
}

int SystemKernel::getsockopt(int fd, int level, int name, void* value, socklen_t* size) {
  return errno_if_negative(::getsockopt(fd, level, name, value, size));
}

ssize_t SystemKernel::send(int fd, const void* bytes, std::size_t size, int flags) {
  return errno_if_negative(::send(fd, bytes, size, flags));
}

ssize_t SystemKernel::recvfrom(int fd, void* bytes, std::size_t size, int flags, sockaddr* from, socklen_t* length) {
  return errno_if_negative(::recvfrom(fd, bytes, size, flags, from, length));
}

int SystemKernel::poll(pollfd* fds, nfds_t count, int timeout_ms) {
  return errno_if_negative(::poll(fds, count, timeout_ms));
}

int SystemKernel::eventfd(unsigned value, int flags) { return errno_if_negative(::eventfd(value, flags)); }

ssize_t SystemKernel::write(int fd, const void* bytes, std::size_t size) {
  return errno_if_negative(::write(fd, bytes, size));
}

int SystemKernel::close(int fd) { return errno_if_negative(::close(fd)); }

}  // namespace ovs_dpif
