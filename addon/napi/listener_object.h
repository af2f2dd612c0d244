#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "napi/channel.h"
#include "socket/kernel.h"
#include "socket/listen.h"

namespace ovs_dpif {

/** `new NetlinkListener(protocol, sockets, buffer, groups)`: see `lib/transport/addon.ts` for what JavaScript sees. */
class ListenerObject : public Napi::ObjectWrap<ListenerObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit ListenerObject(const Napi::CallbackInfo& info);

 private:
  class OpenTask;
  class NextTask;

  Napi::Value open(const Napi::CallbackInfo& info);
  Napi::Value next(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  SystemKernel kernel_;
  std::unique_ptr<Listener> listener_;
  // Written by the worker's thread while a page is read, and only then.
  std::vector<std::uint8_t> page_;
  bool reading_ = false;
  // Last, so that its thread is gone before the members above are.
  Channel channel_;
};

}  // namespace ovs_dpif
