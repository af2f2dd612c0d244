#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <cstddef>

namespace ovs_dpif {

/**
 * The system calls this room makes, so that a test can answer in the kernel's place.
 * Every call returns what the system call returns, or the errno, negative, when it fails.
 */
class Kernel {
 public:
  virtual ~Kernel() = default;

  virtual int socket(int domain, int type, int protocol) = 0;
  virtual int bind(int fd, const sockaddr* address, socklen_t size) = 0;
  virtual int connect(int fd, const sockaddr* address, socklen_t size) = 0;
  virtual int getsockname(int fd, sockaddr* address, socklen_t* size) = 0;
  virtual int setsockopt(int fd, int level, int name, const void* value, socklen_t size) = 0;
  virtual int getsockopt(int fd, int level, int name, void* value, socklen_t* size) = 0;
  virtual ssize_t send(int fd, const void* bytes, std::size_t size, int flags) = 0;
  virtual ssize_t recvfrom(int fd, void* bytes, std::size_t size, int flags, sockaddr* from, socklen_t* length) = 0;
  virtual int poll(pollfd* fds, nfds_t count, int timeout_ms) = 0;
  virtual int eventfd(unsigned value, int flags) = 0;
  virtual ssize_t write(int fd, const void* bytes, std::size_t size) = 0;
  virtual int close(int fd) = 0;
};

/** The real one. */
class SystemKernel final : public Kernel {
 public:
  int socket(int domain, int type, int protocol) override;
  int bind(int fd, const sockaddr* address, socklen_t size) override;
  int connect(int fd, const sockaddr* address, socklen_t size) override;
  int getsockname(int fd, sockaddr* address, socklen_t* size) override;
  int setsockopt(int fd, int level, int name, const void* value, socklen_t size) override;
  int getsockopt(int fd, int level, int name, void* value, socklen_t* size) override;
  ssize_t send(int fd, const void* bytes, std::size_t size, int flags) override;
  ssize_t recvfrom(int fd, void* bytes, std::size_t size, int flags, sockaddr* from, socklen_t* length) override;
  int poll(pollfd* fds, nfds_t count, int timeout_ms) override;
  int eventfd(unsigned value, int flags) override;
  ssize_t write(int fd, const void* bytes, std::size_t size) override;
  int close(int fd) override;
};

}  // namespace ovs_dpif
