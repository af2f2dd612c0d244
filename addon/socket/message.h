#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "socket/result.h"

namespace ovs_dpif {

using Bytes = std::span<const std::uint8_t>;
using WritableBytes = std::span<std::uint8_t>;

/** Reads a `T` at any alignment; the caller has checked that it is there. */
template <typename T>
T load(Bytes bytes, std::size_t offset = 0) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

/** Writes a `T` at any alignment; the caller has checked that there is room. */
template <typename T>
void store(WritableBytes bytes, std::size_t offset, const T& value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

constexpr std::size_t kHeaderSize = sizeof(nlmsghdr);

/** Netlink pads to 4 bytes. Unlike NLMSG_ALIGN this cannot wrap for any 32-bit length. */
constexpr std::size_t padded(std::size_t size) { return (size + 3) & ~std::size_t{3}; }

/** What a buffer of framed messages looks like. */
struct Framing {
  bool whole = false;
  /** Messages up to the end, or up to the first bad one. */
  std::uint32_t count = 0;
  /** Where the first bad message begins; the size of the buffer when there is none. */
  std::size_t end = 0;
};

/** Checks that `bytes` is nothing but whole, padded messages. */
Framing check_framing(Bytes bytes);

/** Bytes of the message at the start of `bytes`, padding included; the framing has been checked. */
std::size_t message_size(Bytes bytes);

/** Reads the payload of an NLMSG_ERROR. `error` is 0 for an ACK, EPROTO for a payload too short to hold an errno. */
Refusal read_error(const nlmsghdr& header, Bytes payload);

/** Reads the payload of an NLMSG_DONE. `error` is 0 for a plain end. */
Refusal read_done(const nlmsghdr& header, Bytes payload);

}  // namespace ovs_dpif
