#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace ovs_dpif {

/** Why a socket itself failed: at which step (one word, for the message) and with which errno. */
struct SocketError {
  const char* stage = nullptr;
  int error = 0;

  explicit operator bool() const { return error != 0; }
};

/** What the kernel said when it refused a message. */
struct Refusal {
  /** Positive errno; 0 for none. */
  int error = 0;
  /** NLMSGERR_ATTR_MSG. */
  std::string text;
  /** NLMSGERR_ATTR_OFFS: where the attribute to blame begins, counted from the start of the request. */
  std::optional<std::uint32_t> offset;
};

/** A message of a batch that did not succeed. */
struct Failure {
  std::uint32_t index = 0;
  Refusal refusal;
};

}  // namespace ovs_dpif
