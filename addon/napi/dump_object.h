#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>

#include "napi/channel.h"
#include "socket/dump.h"
#include "socket/kernel.h"

namespace ovs_dpif {

/** `new NetlinkDump(protocol, request)`: see `lib/transport/addon.ts` for what JavaScript sees. */
class DumpObject : public Napi::ObjectWrap<DumpObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit DumpObject(const Napi::CallbackInfo& info);

 private:
  class NextTask;

  Napi::Value next(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  SystemKernel kernel_;
  std::unique_ptr<Dump> dump_;
  bool reading_ = false;
  // Last, so that its thread is gone before the members above are.
  Channel channel_;
};

}  // namespace ovs_dpif
