#pragma once

#include <napi.h>

#include "napi/channel.h"
#include "socket/exchange.h"
#include "socket/kernel.h"
#include "socket/netlink_socket.h"
#include "socket/spare_buffers.h"

namespace ovs_dpif {

/** `new NetlinkSocket(protocol)`: see `lib/transport/addon.ts` for what JavaScript sees. */
class SocketObject : public Napi::ObjectWrap<SocketObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit SocketObject(const Napi::CallbackInfo& info);

 private:
  class ExchangeTask;

  Napi::Value exchange(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  // Touched by JavaScript's thread only.
  SpareBuffers spare_;
  // Touched by the worker's thread only, once there is one.
  int protocol_ = 0;
  SystemKernel kernel_;
  NetlinkSocket socket_{kernel_};
  Exchanger exchanger_{socket_};
  // Last, so that its thread is gone before the members above are.
  Channel channel_;
};

}  // namespace ovs_dpif
