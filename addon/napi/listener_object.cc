#include "napi/listener_object.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "napi/arguments.h"

namespace ovs_dpif {

class ListenerObject::OpenTask final : public ObjectTask {
 public:
  OpenTask(ListenerObject& owner, Napi::Function done) : ObjectTask(owner.Value(), done), owner_(owner) {}

  void run() override {
    error_ = owner_.listener_->open();
    if (!error_) ids_ = owner_.listener_->port_ids();
  }

  void settle(Napi::Env env) override {
    if (error_) return call(env, error_, env.Undefined());
    Napi::Array pids = Napi::Array::New(env, ids_.size());
    std::uint32_t at = 0;
    for (const std::uint32_t id : ids_) pids.Set(at++, Napi::Number::New(env, id));
    call(env, {}, pids);
  }

 private:
  ListenerObject& owner_;
  SocketError error_;
  std::vector<std::uint32_t> ids_;
};

class ListenerObject::NextTask final : public ObjectTask {
 public:
  NextTask(ListenerObject& owner, Napi::Function done) : ObjectTask(owner.Value(), done), owner_(owner) {}

  void run() override {
    // Twice the room a message needs: the first half is filled, whatever is in the second.
    owner_.page_.resize(2 * Listener::kLeastRoom);
    result_ = owner_.listener_->next(owner_.page_);
  }

  void interrupt() override { owner_.listener_->interrupt(); }

  void settle(Napi::Env env) override {
    owner_.reading_ = false;
    Napi::Object value = Napi::Object::New(env);
    value["bytes"] = to_javascript(env, Bytes(owner_.page_).first(result_.size));
    value["overruns"] = Napi::Number::New(env, result_.overruns);
    value["drained"] = Napi::Boolean::New(env, result_.drained);
    value["ended"] = Napi::Boolean::New(env, result_.ended);
    if (result_.error) value["error"] = to_javascript(env, result_.error);
    call(env, {}, value);
  }

 private:
  ListenerObject& owner_;
  ListenPage result_;
};

Napi::Function ListenerObject::define(Napi::Env env) {
  return DefineClass(env, "NetlinkListener",
                     {InstanceMethod("open", &ListenerObject::open), InstanceMethod("next", &ListenerObject::next),
                      InstanceMethod("close", &ListenerObject::close)});
}

ListenerObject::ListenerObject(const Napi::CallbackInfo& info) : ObjectWrap(info), channel_(info.Env()) {
  if (!check_argument(info, 0, &Napi::Value::IsNumber, "expected a netlink protocol number")) return;
  if (!check_argument(info, 1, &Napi::Value::IsNumber, "expected a number of sockets")) return;
  if (!check_argument(info, 2, &Napi::Value::IsNumber, "expected the size of a receive buffer")) return;
  const std::int64_t sockets = info[1].As<Napi::Number>().Int64Value();
  if (sockets < 1 || sockets > static_cast<std::int64_t>(Listener::kMostSockets)) {
    Napi::RangeError::New(info.Env(), "expected 1 to 64 sockets").ThrowAsJavaScriptException();
    return;
  }
  std::vector<std::uint32_t> groups;
  if (info.Length() > 3 && !info[3].IsUndefined()) {
    if (!check_argument(info, 3, &Napi::Value::IsArray, "expected a list of multicast groups")) return;
    const auto list = info[3].As<Napi::Array>();
    for (std::uint32_t at = 0; at < list.Length(); at++) {
      const Napi::Value group = list.Get(at);
      if (!group.IsNumber()) {
        Napi::TypeError::New(info.Env(), "expected numbers of multicast groups").ThrowAsJavaScriptException();
        return;
      }
      groups.push_back(group.As<Napi::Number>().Uint32Value());
    }
  }
  listener_ = std::make_unique<Listener>(kernel_, info[0].As<Napi::Number>().Int32Value(),
                                         static_cast<std::size_t>(sockets), info[2].As<Napi::Number>().Int32Value(),
                                         std::move(groups));
}

Napi::Value ListenerObject::open(const Napi::CallbackInfo& info) {
  if (!check_argument(info, 0, &Napi::Value::IsFunction, "expected a function")) return {};
  return channel_.post(info.Env(), std::make_unique<OpenTask>(*this, info[0].As<Napi::Function>()));
}

Napi::Value ListenerObject::next(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!check_argument(info, 0, &Napi::Value::IsFunction, "expected a function")) return {};
  if (reading_) return to_javascript(env, SocketError{"busy", EBUSY});
  const Napi::Value refused = channel_.post(env, std::make_unique<NextTask>(*this, info[0].As<Napi::Function>()));
  reading_ = refused.IsUndefined();
  return refused;
}

Napi::Value ListenerObject::close(const Napi::CallbackInfo& info) {
  if (!check_argument(info, 0, &Napi::Value::IsFunction, "expected a function")) return {};
  // A read that waits would wait for ever, and what closes is behind it.
  listener_->interrupt();
  return channel_.close(Value(), info[0].As<Napi::Function>(), [this] { listener_->close(); });
}

}  // namespace ovs_dpif
