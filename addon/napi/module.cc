#include <napi.h>

#include "napi/dump_object.h"
#include "napi/instance.h"
#include "napi/listener_object.h"
#include "napi/socket_object.h"

namespace {

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  if (!ovs_dpif::Instance::install(env)) return exports;
  exports["NetlinkSocket"] = ovs_dpif::SocketObject::define(env);
  exports["NetlinkDump"] = ovs_dpif::DumpObject::define(env);
  exports["NetlinkListener"] = ovs_dpif::ListenerObject::define(env);
  return exports;
}

}  // namespace

NODE_API_MODULE(ovs_dpif, initialize)
