#pragma once

#include <napi.h>

#include <cstddef>
#include <memory>
#include <unordered_set>
#include <vector>

#include "socket/spare_buffers.h"
#include "socket/worker.h"

namespace ovs_dpif {

/** A task whose outcome is told to JavaScript. Holds references, so it lives and dies on the JavaScript thread. */
class NapiTask : public Task {
 public:
  virtual void settle(Napi::Env env) = 0;
};

/**
 * What one Node environment (the main thread, or a worker_thread) has of the addon. There is nothing static, so any
 * number of environments can load it.
 *
 * One thread-safe function brings finished tasks back for all sockets. When the environment ends, the workers are
 * joined first: the cleanup hook is registered after the thread-safe function, hooks run last in, first out, and Node frees
 * a thread-safe function at teardown whether or not a thread still uses it.
 */
class Instance {
 public:
  /** Makes the instance of this environment; false, with an exception pending, when Node refuses. */
  static bool install(Napi::Env env);
  static std::shared_ptr<Instance> of(Napi::Env env);

  Instance() = default;
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  /** A worker for one object: a spare one, or a new one. The instance joins it when the environment ends. */
  std::unique_ptr<Worker> hire();

  /** Takes back a worker that has nothing to do. */
  void dismiss(std::unique_ptr<Worker> worker);

  /** Pages of dumps that have ended, for the next ones. JavaScript thread only. */
  SpareBuffers& spare_pages() { return spare_pages_; }

  /** One more task is under way; the event loop stays alive until it is delivered and settled. */
  void expect();

  /** Takes a finished task to the JavaScript thread. Called on a worker's thread. */
  void deliver(std::unique_ptr<Task> task);

 private:
  /** Starting a thread costs several exchanges, and a sweep over TC makes a dump for every port. */
  static constexpr std::size_t kMostSpare = 4;

  static void settle(napi_env env, napi_value callback, void* instance, void* task);
  static void end(void* instance);

  napi_env env_ = nullptr;
  napi_threadsafe_function to_javascript_ = nullptr;
  std::unordered_set<Worker*> hired_;
  std::vector<std::unique_ptr<Worker>> spare_;
  SpareBuffers spare_pages_;
  bool ended_ = false;
  std::size_t under_way_ = 0;
};

}  // namespace ovs_dpif
