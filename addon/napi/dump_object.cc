#include "napi/dump_object.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "napi/arguments.h"

namespace ovs_dpif {

namespace {

constexpr SocketError gave_page_away{"page", EFAULT};

}  // namespace

class DumpObject::NextTask final : public ObjectTask {
 public:
  NextTask(DumpObject& owner, Napi::Function done, Napi::Uint8Array into)
      : ObjectTask(owner.Value(), done),
        owner_(owner),
        into_(Napi::Persistent(into)),
        page_(owner.channel_.instance().spare_pages().take()) {
    page_.resize(into.ElementLength());
  }

  void run() override { result_ = owner_.dump_->next(page_); }

  void settle(Napi::Env env) override {
    owner_.reading_ = false;
    // The socket is closed already, so the thread is of no more use here; unless a close() is queued, which sees to it.
    if (result_.last && !owner_.channel_.is_closed()) owner_.channel_.rest();
    hand_over(env);
    owner_.channel_.instance().spare_pages().put(std::move(page_));
  }

 private:
  void hand_over(Napi::Env env) {
    const Refusal& refusal = result_.refusal;
    Napi::Object value = Napi::Object::New(env);
    // Copied here and not written into by the other thread: the caller could have given its memory away meanwhile.
    Napi::Uint8Array into = into_.Value();
    if (!into.IsEmpty() && into.ElementLength() >= result_.size) {
      std::copy_n(page_.begin(), result_.size, into.Data());
    } else {
      result_.size = 0;
      result_.error = gave_page_away;
      result_.last = true;
    }
    value["size"] = Napi::Number::New(env, static_cast<double>(result_.size));
    value["last"] = Napi::Boolean::New(env, result_.last);
    value["interrupted"] = Napi::Boolean::New(env, result_.interrupted);
    if (result_.error) value["error"] = to_javascript(env, result_.error);
    if (refusal.error != 0) value["errno"] = Napi::Number::New(env, refusal.error);
    if (!refusal.text.empty()) value["text"] = Napi::String::New(env, refusal.text);
    call(env, {}, value);
  }

  DumpObject& owner_;
  Napi::Reference<Napi::Uint8Array> into_;
  // Filled by the worker's thread, then read by JavaScript's.
  std::vector<std::uint8_t> page_;
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
  if (!check_bytes(info, 0)) return {};
  const auto into = info[0].As<Napi::Uint8Array>();
  // A page's memory can be given away between two reads as well as during one.
  if (into.ArrayBuffer().IsDetached()) return to_javascript(env, gave_page_away);
  if (into.ElementLength() < Dump::kLeastPage) {
    Napi::RangeError::New(env, "expected a page of 64 KiB at least").ThrowAsJavaScriptException();
    return {};
  }
  if (!check_argument(info, 1, &Napi::Value::IsFunction, "expected a function")) return {};
  if (reading_) return to_javascript(env, SocketError{"busy", EBUSY});
  const Napi::Value refused =
      channel_.post(env, std::make_unique<NextTask>(*this, info[1].As<Napi::Function>(), into));
  reading_ = refused.IsUndefined();
  return refused;
}

Napi::Value DumpObject::close(const Napi::CallbackInfo& info) {
  if (!check_argument(info, 0, &Napi::Value::IsFunction, "expected a function")) return {};
  return channel_.close(Value(), info[0].As<Napi::Function>(), [this] { dump_->close(); });
}

}  // namespace ovs_dpif
