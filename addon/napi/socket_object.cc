#include "napi/socket_object.h"

#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "napi/arguments.h"

namespace ovs_dpif {

namespace {

// Four items per failure, flat: an array of objects would cost more than the exchange when every message fails.
Napi::Array to_javascript(Napi::Env env, const std::vector<Failure>& failures) {
  Napi::Array array = Napi::Array::New(env, failures.size() * 4);
  std::uint32_t at = 0;
  for (const auto& [index, refusal] : failures) {
    array.Set(at++, Napi::Number::New(env, index));
    array.Set(at++, Napi::Number::New(env, refusal.error));
    array.Set(at++, refusal.text.empty() ? env.Undefined() : Napi::String::New(env, refusal.text));
    array.Set(at++, refusal.offset ? Napi::Number::New(env, *refusal.offset) : env.Undefined());
  }
  return array;
}

}  // namespace

class SocketObject::ExchangeTask final : public ObjectTask {
 public:
  ExchangeTask(SocketObject& owner, Napi::Function done, std::vector<std::uint8_t> batch)
      : ObjectTask(owner.Value(), done), owner_(owner), batch_(std::move(batch)) {}

  void run() override {
    result_.error = owner_.socket_.open(owner_.protocol_);
    if (result_.error) return;
    result_ = owner_.exchanger_.exchange(batch_);
    // A socket whose reads fail is of no more use; the next exchange opens another.
    if (result_.error && result_.error.error != EBADMSG) owner_.socket_.close();
  }

  void settle(Napi::Env env) override {
    owner_.spare_.put(std::move(batch_));
    if (result_.error) return call(env, result_.error, env.Undefined());
    Napi::Object value = Napi::Object::New(env);
    value["count"] = Napi::Number::New(env, result_.count);
    value["failures"] = to_javascript(env, result_.failures);
    value["replies"] = ovs_dpif::to_javascript(env, Bytes(result_.replies));
    call(env, {}, value);
  }

 private:
  SocketObject& owner_;
  std::vector<std::uint8_t> batch_;
  ExchangeResult result_;
};

Napi::Function SocketObject::define(Napi::Env env) {
  return DefineClass(env, "NetlinkSocket",
                     {InstanceMethod("exchange", &SocketObject::exchange),
                      InstanceMethod("close", &SocketObject::close)});
}

SocketObject::SocketObject(const Napi::CallbackInfo& info) : ObjectWrap(info), channel_(info.Env()) {
  if (!check_argument(info, 0, &Napi::Value::IsNumber, "expected a netlink protocol number")) return;
  protocol_ = info[0].As<Napi::Number>().Int32Value();
}

Napi::Value SocketObject::exchange(const Napi::CallbackInfo& info) {
  std::vector<std::uint8_t> batch = spare_.take();
  if (!take_bytes(info, 0, batch)) return {};
  if (!check_argument(info, 1, &Napi::Value::IsFunction, "expected a function")) return {};
  const auto done = info[1].As<Napi::Function>();
  return channel_.post(info.Env(), std::make_unique<ExchangeTask>(*this, done, std::move(batch)));
}

Napi::Value SocketObject::close(const Napi::CallbackInfo& info) {
  if (!check_argument(info, 0, &Napi::Value::IsFunction, "expected a function")) return {};
  return channel_.close(Value(), info[0].As<Napi::Function>(), [this] { socket_.close(); });
}

}  // namespace ovs_dpif
