#pragma once

#include <napi.h>

#include <cstdint>
#include <vector>

namespace ovs_dpif {

/** False, with a TypeError pending, when the argument is not there or not what `is` asks for. */
inline bool check_argument(const Napi::CallbackInfo& info, std::size_t index, bool (Napi::Value::*is)() const,
                           const char* message) {
  if (index < info.Length() && (info[index].*is)()) return true;
  Napi::TypeError::New(info.Env(), message).ThrowAsJavaScriptException();
  return false;
}

/** False, with a TypeError pending, when the argument is no Uint8Array. */
inline bool check_bytes(const Napi::CallbackInfo& info, std::size_t index) {
  const bool fits = index < info.Length() && info[index].IsTypedArray() &&
                    info[index].As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array;
  if (!fits) Napi::TypeError::New(info.Env(), "expected a Uint8Array").ThrowAsJavaScriptException();
  return fits;
}

/**
 * Takes a Uint8Array argument as a copy; false, with a TypeError pending, when it is none.
 *
 * A copy, because the bytes are used on another thread: the caller could detach, shrink or share their memory
 * meanwhile, and lengths that were checked must not change before they are used. Copying is small beside a system
 * call.
 */
inline bool take_bytes(const Napi::CallbackInfo& info, std::size_t index, std::vector<std::uint8_t>& bytes) {
  if (!check_bytes(info, index)) return false;
  const auto array = info[index].As<Napi::Uint8Array>();
  bytes.assign(array.Data(), array.Data() + array.ElementLength());
  return true;
}

}  // namespace ovs_dpif
