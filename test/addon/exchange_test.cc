#include "socket/exchange.h"

#include "check.h"
#include "scripted_kernel.h"

using namespace ovs_dpif;

namespace {

constexpr std::uint16_t kType = 0x20;

/** An open socket on a scripted kernel, and an exchanger on it. */
struct Room {
  ScriptedKernel kernel;
  NetlinkSocket socket{kernel};
  Exchanger exchanger{socket};

  Room() { socket.open(0); }
  ExchangeResult exchange(Blob batch) { return exchanger.exchange(batch); }

  /** Answers the first send with what `answers` makes of its sequence numbers, and later sends with an ACK. */
  void answer(std::function<void(std::uint32_t base)> answers) {
    kernel.on_send = [this, answers](const Blob& bytes) {
      const auto base = load<nlmsghdr>(bytes).nlmsg_seq;
      if (kernel.sent.size() == 1) {
        answers(base);
      } else {
        kernel.say(ack(base + check_framing(bytes).count - 1));
      }
      return 0;
    };
  }
};

Blob batch_of(std::uint32_t count, std::size_t payload = 4) {
  Blob batch;
  for (std::uint32_t i = 0; i < count; i++) batch = std::move(batch) + message(kType, NLM_F_REQUEST, 0, Blob(payload));
  return batch;
}

std::string failures_of(const ExchangeResult& result) {
  std::string text;
  for (const auto& [index, refusal] : result.failures) {
    text += std::to_string(index) + ":" + std::to_string(refusal.error) + " ";
  }
  return text;
}

}  // namespace

TEST("an empty batch sends nothing") {
  Room room;
  const auto result = room.exchange({});
  EQUAL(result.count, 0u);
  EQUAL(room.kernel.sent.size(), 0u);
}

TEST("every message is stamped and only the last asks for an ACK") {
  Room room;
  room.answer([&](std::uint32_t base) { room.kernel.say(ack(base + 2)); });
  const auto result = room.exchange(batch_of(3));
  OK(!result.error);
  EQUAL(result.count, 3u);
  EQUAL(failures_of(result), "");
  const Blob& sent = room.kernel.sent.at(0);
  for (std::uint32_t i = 0; i < 3; i++) {
    const auto header = load<nlmsghdr>(sent, i * 20);
    EQUAL(header.nlmsg_seq, 1u + i);
    EQUAL(header.nlmsg_pid, 4711u);
    EQUAL(header.nlmsg_flags, NLM_F_REQUEST | (i == 2 ? NLM_F_ACK : 0));
  }
}

TEST("bad framing sends nothing, not even the good messages before it") {
  Room room;
  Blob too_short = batch_of(2);
  too_short[20] = 15;
  Blob too_long = batch_of(2);
  too_long[20] = 24;
  Blob cut = batch_of(2);
  cut.resize(39);
  Blob unpadded = batch_of(1) + message(kType, 0, 0, Blob(3));
  unpadded.pop_back();
  const Blob tail = batch_of(1) + Blob(4);
  for (const Blob& batch : {too_short, too_long, cut, unpadded, tail}) {
    const auto result = room.exchange(batch);
    EQUAL(std::string(result.error.stage), "framing");
  }
  EQUAL(room.kernel.sent.size(), 0u);
}

TEST("a length that wraps when it is padded is bad framing") {
  Room room;
  Blob batch = batch_of(1);
  std::memset(batch.data(), 0xff, 4);
  OK(room.exchange(batch).error);
}

TEST("refusals keep their index, errno, words and offset") {
  Room room;
  room.answer([&](std::uint32_t base) {
    room.kernel.say(nak(base + 1, EEXIST));
    room.kernel.say(nak(base + 3, EINVAL, extended_ack("no such field", 36)));
  });
  const auto result = room.exchange(batch_of(4));
  EQUAL(failures_of(result), "1:17 3:22 ");
  EQUAL(result.failures.at(0).refusal.text, "");
  OK(!result.failures.at(0).refusal.offset);
  EQUAL(result.failures.at(1).refusal.text, "no such field");
  EQUAL(*result.failures.at(1).refusal.offset, 36u);
}

TEST("words are found behind a request that is quoted whole") {
  Room room;
  room.answer([&](std::uint32_t base) {
    const Blob quoted = batch_of(1, 10);
    room.kernel.say(message(NLMSG_ERROR, NLM_F_ACK_TLVS, base,
                            blob_of(std::int32_t{-EPERM}) + quoted + extended_ack("not you", 16)));
  });
  const auto result = room.exchange(batch_of(1));
  EQUAL(failures_of(result), "0:1 ");
  EQUAL(result.failures.at(0).refusal.text, "not you");
}

TEST("replies carry the index of what they answer, one message or several") {
  Room room;
  room.answer([&](std::uint32_t base) {
    room.kernel.say(message(0x30, 0, base, {1, 2, 3}));
    room.kernel.say(message(0x30, 0, base + 2, {4}) + message(0x31, 0, base + 2, {5}));
    room.kernel.say(ack(base + 2));
  });
  const auto result = room.exchange(batch_of(3));
  EQUAL(failures_of(result), "");
  EQUAL(check_framing(result.replies).count, 3u);
  EQUAL(load<nlmsghdr>(result.replies, 0).nlmsg_seq, 0u);
  EQUAL(load<nlmsghdr>(result.replies, 0).nlmsg_len, 19u);
  EQUAL(load<nlmsghdr>(result.replies, 20).nlmsg_seq, 2u);
  EQUAL(load<nlmsghdr>(result.replies, 40).nlmsg_type, 0x31);
}

TEST("a large batch is cut by count, and the order is kept") {
  Room room;
  room.answer([&](std::uint32_t base) {
    room.kernel.say(nak(base + 200, ENOENT));
    room.kernel.say(ack(base + 1023));
  });
  const auto result = room.exchange(batch_of(2400));
  EQUAL(room.kernel.sent.size(), 3u);
  EQUAL(room.kernel.sent.at(0).size(), 1024u * 20);
  EQUAL(room.kernel.sent.at(2).size(), 352u * 20);
  EQUAL(load<nlmsghdr>(room.kernel.sent.at(2)).nlmsg_seq, 2049u);
  EQUAL(failures_of(result), "200:2 ");
}

TEST("a small receive buffer makes small sends") {
  Room room;
  room.kernel.receive_buffer = 10 * 8192;
  room.socket.close();
  room.socket.open(0);
  room.answer([&](std::uint32_t base) { room.kernel.say(ack(base + 9)); });
  room.exchange(batch_of(25));
  EQUAL(room.kernel.sent.size(), 3u);
}

TEST("a batch is cut by bytes, and a message above the bound goes alone") {
  Room room;
  room.answer([&](std::uint32_t base) { room.kernel.say(ack(base)); });
  room.exchange(batch_of(1) + batch_of(1, 600 << 10) + batch_of(1));
  EQUAL(room.kernel.sent.size(), 3u);
  EQUAL(room.kernel.sent.at(1).size(), 16u + (600 << 10));
}

TEST("after an overflow what is proven stays proven and the rest is unknown, and nothing is sent twice") {
  Room room;
  room.answer([&](std::uint32_t base) {
    room.kernel.fail(ENOBUFS);
    room.kernel.say(message(0x30, 0, base + 1, {1}));
    room.kernel.say(nak(base + 2, EEXIST));
  });
  const auto result = room.exchange(batch_of(5));
  EQUAL(failures_of(result), "0:105 2:17 3:105 4:105 ");
  EQUAL(check_framing(result.replies).count, 1u);
  EQUAL(room.kernel.sent.size(), 1u);
}

TEST("an overflow that spares the last answer still leaves the silent ones unknown") {
  Room room;
  room.answer([&](std::uint32_t base) {
    room.kernel.fail(ENOBUFS);
    room.kernel.say(ack(base + 2));
  });
  EQUAL(failures_of(room.exchange(batch_of(3))), "0:105 1:105 ");
}

TEST("a lost ACK makes the silent messages of its send unknown, and later sends go on") {
  Room room;
  room.answer([&](std::uint32_t base) { room.kernel.say(nak(base, EPERM)); });
  const auto result = room.exchange(batch_of(1026));
  EQUAL(result.failures.size(), 1024u);
  EQUAL(result.failures.at(0).refusal.error, EPERM);
  EQUAL(result.failures.at(1023).refusal.error, ENOBUFS);
  EQUAL(room.kernel.sent.size(), 2u);
}

TEST("a late answer to an earlier exchange is dropped") {
  Room room;
  room.answer([](std::uint32_t) {});
  EQUAL(failures_of(room.exchange(batch_of(1))), "0:105 ");
  room.kernel.say(nak(1, EINVAL));
  room.kernel.say(message(0x30, 0, 1));
  const auto result = room.exchange(batch_of(1));
  EQUAL(failures_of(result), "");
  EQUAL(result.replies.size(), 0u);
}

TEST("only the kernel is believed") {
  Room room;
  room.answer([&](std::uint32_t base) {
    room.kernel.queue.push_back({nak(base, EPERM), 0, 99});
    room.kernel.say(ack(base));
  });
  EQUAL(failures_of(room.exchange(batch_of(1))), "");
}

TEST("interrupted system calls are made again") {
  Room room;
  room.kernel.interrupts = 3;
  room.answer([&](std::uint32_t base) { room.kernel.say(ack(base)); });
  EQUAL(failures_of(room.exchange(batch_of(1))), "");
  EQUAL(room.kernel.sent.size(), 1u);
}

TEST("when a send fails, it and what follows was not carried out") {
  for (const int error : {EPERM, ECONNREFUSED, EMSGSIZE}) {
    Room room;
    room.kernel.on_send = [&room, error](const Blob& bytes) {
      if (room.kernel.sent.size() == 2) return error;
      room.kernel.say(nak(load<nlmsghdr>(bytes).nlmsg_seq + 7, EEXIST));
      room.kernel.say(ack(load<nlmsghdr>(bytes).nlmsg_seq + 1023));
      return 0;
    };
    const auto result = room.exchange(batch_of(1368));
    OK(!result.error);
    EQUAL(room.kernel.sent.size(), 2u);
    EQUAL(result.failures.size(), 1u + 344);
    EQUAL(result.failures.at(0).index, 7u);
    EQUAL(result.failures.at(1).index, 1024u);
    EQUAL(result.failures.at(344).refusal.error, error);
  }
}

TEST("no memory to send is ENOMEM, for ENOBUFS means that the outcome is unknown") {
  Room room;
  room.kernel.on_send = [](const Blob&) { return ENOBUFS; };
  EQUAL(failures_of(room.exchange(batch_of(2))), "0:12 1:12 ");
}

TEST("an answer that does not fit is lost, and the next of its size is not") {
  Room room;
  const auto answers = [&](const Blob& bytes) {
    const auto base = load<nlmsghdr>(bytes).nlmsg_seq;
    room.kernel.say(message(0x30, 0, base, Blob(100 << 10)));
    room.kernel.say(ack(base + 1));
    return 0;
  };
  room.kernel.on_send = answers;
  EQUAL(failures_of(room.exchange(batch_of(2))), "0:105 ");
  const auto result = room.exchange(batch_of(2));
  EQUAL(failures_of(result), "");
  EQUAL(result.replies.size(), 16u + (100 << 10));
}

TEST("a refusal that does not fit keeps its errno") {
  Room room;
  const Blob attributes = attribute(NLMSGERR_ATTR_MSG, Blob(65000)) + attribute(9, Blob(65000));
  room.answer([&](std::uint32_t base) { room.kernel.say(nak(base, EINVAL, attributes)); });
  EQUAL(failures_of(room.exchange(batch_of(1))), "0:22 ");
}

TEST("a datagram that is cut short or nonsense loses answers but not the loop") {
  Blob cut_reply = message(0x30, 0, 1, Blob(100));
  cut_reply.resize(40);
  Blob nonsense(20, 0);
  for (const Blob& bytes : {cut_reply, Blob{1, 2, 3}, nonsense, message(NLMSG_OVERRUN, 0, 0)}) {
    Room room;
    room.answer([&](std::uint32_t base) {
      room.kernel.say(bytes);
      room.kernel.say(ack(base + 1));
    });
    EQUAL(failures_of(room.exchange(batch_of(2))), "0:105 ");
  }
}

TEST("DONE in a batch counts as an answer, with or without an error") {
  Room room;
  room.answer([&](std::uint32_t base) {
    room.kernel.say(message(NLMSG_DONE, NLM_F_MULTI, base, blob_of(std::int32_t{-ENODEV})));
    room.kernel.say(message(NLMSG_NOOP, 0, base + 1));
    room.kernel.say(message(NLMSG_DONE, NLM_F_MULTI, base + 1, blob_of(std::int32_t{0})));
  });
  EQUAL(failures_of(room.exchange(batch_of(2))), "0:19 ");
}

TEST("an ACK the caller asked for is no surprise, nor is a refusal after a reply") {
  Room room;
  room.answer([&](std::uint32_t base) {
    room.kernel.say(ack(base));
    room.kernel.say(message(0x30, 0, base + 1));
    room.kernel.say(nak(base + 1, EIO));
    room.kernel.say(nak(base + 1, EPERM));
    room.kernel.say(ack(base + 2));
  });
  EQUAL(failures_of(room.exchange(batch_of(3))), "1:5 ");
}

TEST("a socket that cannot be read fails the exchange") {
  Room room;
  room.answer([&](std::uint32_t) { room.kernel.fail(ENOTCONN); });
  const auto result = room.exchange(batch_of(2));
  EQUAL(std::string(result.error.stage), "receive");
  EQUAL(result.error.error, ENOTCONN);
}
