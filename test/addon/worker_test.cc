#include "socket/worker.h"

#include <sched.h>

#include <atomic>
#include <cerrno>
#include <semaphore>
#include <utility>
#include <vector>

#include "check.h"

using namespace ovs_dpif;

namespace {

/** Counts itself, so that a test sees what is destroyed and when. */
class Step final : public Task {
 public:
  Step(int number, std::vector<int>& order, std::atomic<int>& alive) : number_(number), order_(order), alive_(alive) {
    alive_++;
  }
  ~Step() override { alive_--; }

  /** Says when it runs, and then waits for leave. */
  void block(std::binary_semaphore& started, std::binary_semaphore& gate) {
    started_ = &started;
    gate_ = &gate;
  }

  void run() override {
    if (started_) started_->release();
    if (gate_) gate_->acquire();
    order_.push_back(number_);
  }

 private:
  int number_;
  std::vector<int>& order_;
  std::atomic<int>& alive_;
  std::binary_semaphore* started_ = nullptr;
  std::binary_semaphore* gate_ = nullptr;
};

struct Room {
  std::vector<int> order;
  std::atomic<int> alive = 0;
  std::counting_semaphore<> delivered{0};
  std::binary_semaphore gate{0};
  std::binary_semaphore started{0};
  Worker worker{[this](std::unique_ptr<Task> task) {
    task.reset();
    delivered.release();
  }};

  int post(int number, bool urgent = false) {
    return worker.post(std::make_unique<Step>(number, order, alive), urgent);
  }
  void post_blocking(int number) {
    auto step = std::make_unique<Step>(number, order, alive);
    step->block(started, gate);
    worker.post(std::move(step));
    started.acquire();
  }
};

}  // namespace

TEST("a woken worker does not take the processor from its owner") {
  /** Tells what kind of thread it runs on. */
  class Ask final : public Task {
   public:
    explicit Ask(int& policy) : policy_(policy) {}
    void run() override { policy_ = sched_getscheduler(0); }

   private:
    int& policy_;
  };
  std::binary_semaphore delivered{0};
  Worker worker([&delivered](std::unique_ptr<Task> task) {
    task.reset();
    delivered.release();
  });
  int policy = -1;
  EQUAL(worker.post(std::make_unique<Ask>(policy)), 0);
  delivered.acquire();
  EQUAL(policy, sched_getscheduler(0) == SCHED_OTHER ? SCHED_BATCH : sched_getscheduler(0));
}

TEST("tasks run in order on one thread") {
  Room room;
  for (int i = 0; i < 500; i++) EQUAL(room.post(i), 0);
  for (int i = 0; i < 500; i++) room.delivered.acquire();
  room.worker.stop();
  for (int i = 0; i < 500; i++) EQUAL(room.order.at(static_cast<std::size_t>(i)), i);
  EQUAL(room.alive, 0);
}

TEST("a full queue refuses, but not what is urgent") {
  Room room;
  room.post_blocking(0);
  for (std::size_t i = 0; i < Worker::kCapacity; i++) EQUAL(room.post(1), 0);
  EQUAL(room.post(2), EBUSY);
  EQUAL(room.post(3, true), 0);
  room.gate.release();
  for (std::size_t i = 0; i < Worker::kCapacity + 2; i++) room.delivered.acquire();
  room.worker.stop();
  EQUAL(room.order.back(), 3);
}

TEST("stop finishes what runs, destroys what waits, and refuses what comes") {
  Room room;
  room.post_blocking(0);
  room.post(1);
  room.post(2);
  room.gate.release();
  room.worker.stop();
  OK(room.order.size() >= 1);
  EQUAL(room.alive, 0);
  EQUAL(room.post(3), ESHUTDOWN);
  room.worker.stop();
}

TEST("stop interrupts what waits without a limit") {
  class Waiting final : public Task {
   public:
    explicit Waiting(std::binary_semaphore& started) : started_(started) {}
    void run() override {
      started_.release();
      gate_.acquire();
    }
    void interrupt() override { gate_.release(); }

   private:
    std::binary_semaphore& started_;
    std::binary_semaphore gate_{0};
  };
  Room room;
  EQUAL(room.worker.post(std::make_unique<Waiting>(room.started)), 0);
  room.started.acquire();
  room.worker.stop();
  room.delivered.acquire();
}

TEST("a worker that was never used has no thread to stop") {
  Room room;
  room.worker.stop();
  EQUAL(room.post(1), ESHUTDOWN);
}

TEST("workers come and go in any state") {
  for (int i = 0; i < 200; i++) {
    Room room;
    for (int task = 0; task < i % 5; task++) room.post(task);
    if (i % 3 == 0) room.worker.stop();
  }
}
