#include "napi/dump_object.h"

#include <cerrno>
#include <utility>

#include "napi/arguments.h"

namespace ovs_dpif {

class DumpObject::NextTask final : public ObjectTask {
 public:
  NextTask(DumpObject& owner, Napi::Function done) : ObjectTask(owner.Value(), done), owner_(owner) {}

  void run() override {
    owner_.page_.resize(Dump::kPageSize);
    result_ = owner_.dump_->next(owner_.page_);
  }

  void settle(Napi::Env env) override {
    owner_.reading_ = false;
    // The socket is closed already, so the thread is of no more use here; unless a close() is queued, which sees to it.
    if (result_.last && !owner_.channel_.is_closed()) owner_.channel_.rest();
    const Refusal& refusal = result_.refusal;
    Napi::Object value = Napi::Object::New(env);
    value["page"] = to_javascript(env, Bytes(owner_.page_).first(result_.size));
    value["last"] = Napi::Boolean::New(env, result_.last);
    value["interrupted"] = Napi::Boolean::New(env, result_.interrupted);
    if (result_.error) value["error"] = to_javascript(env, result_.error);
    if (refusal.error != 0) value["errno"] = Napi::Number::New(env, refusal.error);
    if (!refusal.text.empty()) value["text"] = Napi::String::New(env, refusal.text);
    call(env, {}, value);
  }

 private:
  DumpObject& owner_;
  DumpPage result_;
};

Napi::Function DumpObject::define(Napi::Env env) {
  return DefineClass(env, "NetlinkDump",
                     {InstanceMethod("next", &DumpObject::next), InstanceMethod("close", &DumpObject::close)});
}

DumpObject::DumpObject(const Napi::CallbackInfo& info) : ObjectWrap(info), channel_(info.Env()) {
  if (!check_argument(info, 0, &Napi::Value::IsNumber, "expected a netlink protocol number")) return;
  std::vector<std::uint8_t> request;
  if (!take_bytes(info, 1, request)) return;
  dump_ = std::make_unique<Dump>(kernel_, info[0].As<Napi::Number>().Int32Value(), std::move(request));
}

Napi::Value DumpObject::next(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!check_argument(info, 0, &Napi::Value::IsFunction, "expected a function")) return {};
  if (reading_) return to_javascript(env, SocketError{"busy", EBUSY});
  const Napi::Value refused =
      channel_.post(env, std::make_unique<NextTask>(*this, info[0].As<Napi::Function>()));
  reading_ = refused.IsUndefined();
  return refused;
}

Napi::Value DumpObject::close(const Napi::CallbackInfo& info) {
  if (!check_argument(info, 0, &Napi::Value::IsFunction, "expected a function")) return {};
  return channel_.close(Value(), info[0].As<Napi::Function>(), [this] {
    dump_->close();
    page_ = {};
  });
}

}  // namespace ovs_dpif
