#pragma once

#include <algorithm>
#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "scripted_kernel.h"

/** A kernel that sends by itself, to sockets that are told apart. They are numbered from 10, in the order they were opened. */
class ListeningKernel final : public ovs_dpif::Kernel {
 public:
  static constexpr int kFirst = 10;
  static constexpr int kWake = 99;

  /** Called before each poll; queues something, or interrupts. A poll that finds nothing would otherwise never end. */
  std::function<void()> on_poll = [] {};
  std::map<int, std::deque<ScriptedKernel::Datagram>> queues;
  std::map<int, int> receive_buffers;
  std::map<int, std::vector<int>> groups;
  /** System call to fail with EMFILE, and after how many that succeed. */
  std::string failing;
  int successes = 0;
  int open_descriptors = 0;
  int interrupts = 0;

  void say(int fd, Blob bytes) { queues[fd].push_back({std::move(bytes), 0, 0}); }
  void fail(int fd, int error) { queues[fd].push_back({{}, error, 0}); }

  int socket(int, int, int) override {
    if (failing == "socket" && successes-- == 0) return -EMFILE;
    open_descriptors++;
    return next_++;
  }
  int eventfd(unsigned, int) override {
    if (failing == "eventfd") return -EMFILE;
    open_descriptors++;
    return kWake;
  }
  int bind(int, const sockaddr*, socklen_t) override { return 0; }
  int connect(int, const sockaddr*, socklen_t) override { return 0; }
  int getsockname(int fd, sockaddr* address, socklen_t*) override {
    reinterpret_cast<sockaddr_nl*>(address)->nl_pid = 4000u + static_cast<std::uint32_t>(fd);
    return 0;
  }
  int setsockopt(int fd, int level, int name, const void* value, socklen_t) override {
    if (level == SOL_SOCKET && name == SO_RCVBUFFORCE) std::memcpy(&receive_buffers[fd], value, sizeof(int));
    if (level == SOL_NETLINK && name == NETLINK_ADD_MEMBERSHIP) {
      if (failing == "join" && successes-- == 0) return -EINVAL;
      int group = 0;
      std::memcpy(&group, value, sizeof group);
      groups[fd].push_back(group);
    }
    return 0;
  }
  int getsockopt(int, int, int, void* value, socklen_t*) override {
    std::memset(value, 0, sizeof(int));
    return 0;
  }
  ssize_t send(int, const void*, std::size_t size, int) override { return static_cast<ssize_t>(size); }
  ssize_t write(int fd, const void*, std::size_t size) override {
    if (fd == kWake) woken_ = true;
    return static_cast<ssize_t>(size);
  }

  ssize_t recvfrom(int fd, void* to, std::size_t room, int, sockaddr* from, socklen_t*) override {
    auto& queue = queues[fd];
    if (queue.empty()) return -EAGAIN;
    const ScriptedKernel::Datagram datagram = queue.front();
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

  int poll(pollfd* fds, nfds_t count, int) override {
    if (interrupts > 0) return interrupts--, -EINTR;
    on_poll();
    int ready = 0;
    for (nfds_t index = 0; index < count; index++) {
      const bool readable = fds[index].fd == kWake ? woken_.load() : !queues[fds[index].fd].empty();
      fds[index].revents = readable ? POLLIN : 0;
      if (readable) ready++;
    }
    return ready;
  }

  int close(int) override {
    open_descriptors--;
    return 0;
  }

 private:
  int next_ = kFirst;
  std::atomic<bool> woken_ = false;
};
