#pragma once

#include <napi.h>

#include <functional>
#include <memory>

#include "napi/instance.h"
#include "socket/message.h"
#include "socket/result.h"
#include "socket/worker.h"

namespace ovs_dpif {

/** A task of one JavaScript object: keeps the object and its callback alive until it is settled or dropped. */
class ObjectTask : public NapiTask {
 public:
  ObjectTask(Napi::Object self, Napi::Function done)
      : self_(Napi::Persistent(self)), done_(Napi::Persistent(done)) {}

 protected:
  /** Calls `done(error, value)`; `error` is undefined when there is none. */
  void call(Napi::Env env, const SocketError& error, Napi::Value value);

 private:
  Napi::ObjectReference self_;
  Napi::FunctionReference done_;
};

/** The way from one JavaScript object to its worker, hired at the first call. JavaScript thread only. */
class Channel {
 public:
  explicit Channel(Napi::Env env) : instance_(Instance::of(env)) {}
  ~Channel() { rest(); }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /** Queues `task`. Returns undefined, or `{ stage, errno }` when it is refused; then its callback is never called. */
  Napi::Value post(Napi::Env env, std::unique_ptr<ObjectTask> task);

  /** Queues `release` as the last task and calls `done()` after it. Returns as `post` does. */
  Napi::Value close(Napi::Object self, Napi::Function done, std::function<void()> release);

  bool is_closed() const { return closed_; }

  Instance& instance() { return *instance_; }

  /** Gives the worker back until the next call. Nothing may be queued. */
  void rest();

 private:
  class CloseTask;

  int enqueue(std::unique_ptr<ObjectTask> task, bool urgent);

  std::shared_ptr<Instance> instance_;
  std::unique_ptr<Worker> worker_;
  bool closed_ = false;
};

/** `{ stage, errno }`: TypeScript makes the sentence. */
Napi::Object to_javascript(Napi::Env env, const SocketError& error);

/** `bytes` as a Uint8Array of its own. */
Napi::Value to_javascript(Napi::Env env, Bytes bytes);

}  // namespace ovs_dpif
