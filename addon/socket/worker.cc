#include "socket/worker.h"

#include <sched.h>
#include <signal.h>

#include <cerrno>
#include <utility>

namespace ovs_dpif {

int Worker::post(std::unique_ptr<Task>&& task, bool urgent) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return ESHUTDOWN;
    if (!urgent && waiting_.size() >= kCapacity) return EBUSY;
    if (const int error = start()) return error;
    waiting_.push_back(std::move(task));
  }
  // Told without the lock, or the thread would wake only to wait for it.
  changed_.notify_one();
  return 0;
}

// pthread_create, because std::thread reports "no more threads" with an exception, and there are none here.
int Worker::start() {
  if (started_) return 0;
  // Signals are for the threads that have handlers in mind; a new thread inherits the mask of its creator.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(
      &thread_, nullptr,
      [](void* worker) -> void* {
        static_cast<Worker*>(worker)->work();
        return nullptr;
      },
      this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error == 0) {
    started_ = true;
    yield_to_owner();
    pthread_setname_np(thread_, "ovs_dpif");
  }
  return error;
}

// A thread of this kind never takes the processor from another one when it is woken. On a single processor the owner's
// thread would otherwise stand still for as long as the kernel works. Whoever chose a policy for the process keeps it.
void Worker::yield_to_owner() {
  int policy = 0;
  sched_param parameters{};
  if (pthread_getschedparam(thread_, &policy, &parameters) != 0 || policy != SCHED_OTHER) return;
  pthread_setschedparam(thread_, SCHED_BATCH, &parameters);
}

void Worker::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    std::unique_ptr<Task> task = std::move(waiting_.front());
    waiting_.pop_front();
    running_ = task.get();
    lock.unlock();
    task->run();
    // Before it is handed over: its owner may destroy it at once.
    lock.lock();
    running_ = nullptr;
    lock.unlock();
    deliver_(std::move(task));
    lock.lock();
  }
}

void Worker::stop() {
  std::deque<std::unique_ptr<Task>> dropped;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(waiting_);
    if (running_ != nullptr) running_->interrupt();
    changed_.notify_one();
  }
  if (std::exchange(started_, false)) pthread_join(thread_, nullptr);
}

}  // namespace ovs_dpif
