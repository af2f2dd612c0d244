#include "socket/message.h"

#include <cerrno>
#include <climits>

namespace ovs_dpif {

namespace {

// The kernel writes errno negative. INT_MIN has no positive, and a wild answer must not be undefined behaviour.
int positive_errno(std::int32_t value) {
  if (value == INT_MIN) return EPROTO;
  return value < 0 ? -value : value;
}

void read_extended_ack(Bytes attributes, Refusal& refusal) {
  while (attributes.size() >= sizeof(nlattr)) {
    const auto attribute = load<nlattr>(attributes);
    if (attribute.nla_len < sizeof(nlattr) || attribute.nla_len > attributes.size()) return;
    const Bytes value = attributes.subspan(sizeof(nlattr), attribute.nla_len - sizeof(nlattr));
    const int type = attribute.nla_type & NLA_TYPE_MASK;
    if (type == NLMSGERR_ATTR_MSG) {
      const auto* text = reinterpret_cast<const char*>(value.data());
      refusal.text.assign(text, strnlen(text, value.size()));
    } else if (type == NLMSGERR_ATTR_OFFS && value.size() >= sizeof(std::uint32_t)) {
      refusal.offset = load<std::uint32_t>(value);
    }
    const std::size_t step = padded(attribute.nla_len);
    if (step >= attributes.size()) return;
    attributes = attributes.subspan(step);
  }
}

}  // namespace

Framing check_framing(Bytes bytes) {
  Framing framing;
  while (framing.end < bytes.size()) {
    const Bytes rest = bytes.subspan(framing.end);
    if (rest.size() < kHeaderSize) return framing;
    const std::size_t length = load<nlmsghdr>(rest).nlmsg_len;
    if (length < kHeaderSize || padded(length) > rest.size()) return framing;
    framing.end += padded(length);
    framing.count++;
  }
  framing.whole = true;
  return framing;
}

std::size_t message_size(Bytes bytes) { return padded(load<nlmsghdr>(bytes).nlmsg_len); }

Refusal read_error(const nlmsghdr& header, Bytes payload) {
  Refusal refusal;
  if (payload.size() < sizeof(std::int32_t)) {
    refusal.error = EPROTO;
    return refusal;
  }
  refusal.error = positive_errno(load<std::int32_t>(payload));
  if (!(header.nlmsg_flags & NLM_F_ACK_TLVS) || payload.size() < sizeof(nlmsgerr)) return refusal;

  // The request is quoted whole unless the answer says it was capped to its header (NETLINK_CAP_ACK, and every ACK).
  std::size_t quoted = sizeof(nlmsghdr);
  if (!(header.nlmsg_flags & NLM_F_CAPPED)) {
    quoted = padded(load<nlmsgerr>(payload).msg.nlmsg_len);
  }
  const std::size_t start = sizeof(std::int32_t) + quoted;
  if (start < payload.size()) read_extended_ack(payload.subspan(start), refusal);
  return refusal;
}

Refusal read_done(const nlmsghdr& header, Bytes payload) {
  Refusal refusal;
  if (payload.size() < sizeof(std::int32_t)) return refusal;
  const auto status = load<std::int32_t>(payload);
  // Some dumps leave the positive length of their last page here; only a negative number is an error.
  if (status >= 0) return refusal;
  refusal.error = positive_errno(status);
  if (header.nlmsg_flags & NLM_F_ACK_TLVS) read_extended_ack(payload.subspan(sizeof(std::int32_t)), refusal);
  return refusal;
}

}  // namespace ovs_dpif
