#include "napi/channel.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace ovs_dpif {

namespace {

SocketError refusal(int error) {
  if (error == EBUSY) return {"busy", error};
  if (error == ESHUTDOWN) return {"closed", error};
  return {"thread", error};
}

}  // namespace

void ObjectTask::call(Napi::Env env, const SocketError& error, Napi::Value value) {
  done_.Call({error ? to_javascript(env, error) : env.Undefined(), value});
}

class Channel::CloseTask final : public ObjectTask {
 public:
  CloseTask(Napi::Object self, Napi::Function done, Channel& channel, std::function<void()> release)
      : ObjectTask(self, done), channel_(channel), release_(std::move(release)) {}

  void run() override { release_(); }

  void settle(Napi::Env env) override {
    channel_.rest();
    call(env, {}, env.Undefined());
  }

 private:
  Channel& channel_;
  std::function<void()> release_;
};

Napi::Value Channel::post(Napi::Env env, std::unique_ptr<ObjectTask> task) {
  const int error = closed_ ? ESHUTDOWN : enqueue(std::move(task), false);
  return error == 0 ? env.Undefined() : to_javascript(env, refusal(error));
}

Napi::Value Channel::close(Napi::Object self, Napi::Function done, std::function<void()> release) {
  const Napi::Env env = self.Env();
  if (closed_) return to_javascript(env, refusal(ESHUTDOWN));
  closed_ = true;
  // Without a worker nothing is under way, and what is there can be released at once.
  if (!worker_ || enqueue(std::make_unique<CloseTask>(self, done, *this, release), true) != 0) {
    release();
    done.Call({});
  }
  return env.Undefined();
}

int Channel::enqueue(std::unique_ptr<ObjectTask> task, bool urgent) {
  if (!worker_) worker_ = instance_->hire();
  const int error = worker_->post(std::move(task), urgent);
  if (error == 0) instance_->expect();
  return error;
}

void Channel::rest() {
  if (worker_) instance_->dismiss(std::move(worker_));
}

Napi::Object to_javascript(Napi::Env env, const SocketError& error) {
  Napi::Object object = Napi::Object::New(env);
  object["stage"] = Napi::String::New(env, error.stage);
  object["errno"] = Napi::Number::New(env, error.error);
  return object;
}

Napi::Value to_javascript(Napi::Env env, Bytes bytes) {
  Napi::Uint8Array array = Napi::Uint8Array::New(env, bytes.size());
  // Tasks are still delivered while an environment winds down and makes nothing any more (worker.terminate()).
  if (array.IsEmpty()) return env.Undefined();
  std::copy(bytes.begin(), bytes.end(), array.Data());
  return array;
}

}  // namespace ovs_dpif
