#pragma once

#include <pthread.h>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

namespace ovs_dpif {

/** Something to be done on a worker's thread. Created and destroyed on the owner's thread. */
class Task {
 public:
  virtual ~Task() = default;
  virtual void run() = 0;
  /** Called on the owner's thread while `run` may be under way: it is to end soon. For tasks that wait without a limit. */
  virtual void interrupt() {}
};

/**
 * One thread that carries tasks out in order. It is started by the first task. Netlink can hold its caller for a second
 * (rtnl), which must cost neither the owner's thread nor a slot of a pool that others wait for.
 */
class Worker {
 public:
  /** Called on the worker's thread with each task that has run; hands it back to the owner's thread. */
  using Deliver = std::function<void(std::unique_ptr<Task>)>;

  /** How many tasks may wait. A caller that does not await its work would otherwise fill the memory. */
  static constexpr std::size_t kCapacity = 1024;

  explicit Worker(Deliver deliver) : deliver_(std::move(deliver)) {}
  ~Worker() { stop(); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /**
   * Queues `task`; returns 0, EBUSY when the queue is full (never for an `urgent` task), ESHUTDOWN after stop, or why
   * there is no thread. The task is taken only when 0 is returned.
   */
  int post(std::unique_ptr<Task>&& task, bool urgent = false);

  /** Interrupts the running task and lets it finish, destroys those that wait, ends the thread. Idempotent. Owner's thread only. */
  void stop();

 private:
  int start();
  void yield_to_owner();
  void work();

  const Deliver deliver_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Task>> waiting_;
  Task* running_ = nullptr;
  bool stopping_ = false;
  bool started_ = false;
  pthread_t thread_{};
};

}  // namespace ovs_dpif
