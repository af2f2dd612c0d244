#include "socket/dump.h"

#include "check.h"
#include "scripted_kernel.h"

using namespace ovs_dpif;

namespace {

constexpr std::uint16_t kType = 0x30;
constexpr std::uint32_t kSequence = 1;

Blob part(std::size_t payload, std::uint16_t flags = NLM_F_MULTI) {
  return message(kType, flags, kSequence, Blob(payload));
}

Blob done(int error = 0, const Blob& attributes = {}, std::uint16_t flags = NLM_F_MULTI) {
  if (!attributes.empty()) flags |= NLM_F_ACK_TLVS;
  return message(NLMSG_DONE, flags, kSequence, blob_of(std::int32_t{-error}) + attributes);
}

struct Room {
  ScriptedKernel kernel;
  Dump dump{kernel, 0, message(0x12, 0, 0, Blob(4))};
  // Room for two parts of the usual size, and not for three.
  Blob page = Blob(Dump::kLeastPage + 40000);

  explicit Room(std::vector<Blob> answers = {}) {
    kernel.on_send = [this, answers](const Blob&) {
      for (const Blob& answer : answers) kernel.say(answer);
      return 0;
    };
  }
  DumpPage next() { return dump.next(page); }
};

}  // namespace

TEST("the request is sent by the first read, as a dump") {
  Room room({part(4), done()});
  EQUAL(room.kernel.sent.size(), 0u);
  room.next();
  const auto header = load<nlmsghdr>(room.kernel.sent.at(0));
  EQUAL(header.nlmsg_flags, NLM_F_REQUEST | NLM_F_DUMP | NLM_F_ACK);
  EQUAL(header.nlmsg_seq, kSequence);
  EQUAL(header.nlmsg_pid, 4711u);
}

TEST("a short dump is one page, without its DONE, and the socket is closed") {
  Room room({part(4) + part(4), done()});
  const auto page = room.next();
  EQUAL(page.size, 40u);
  OK(page.last);
  OK(!page.error);
  EQUAL(page.refusal.error, 0);
  OK(!page.interrupted);
  EQUAL(room.kernel.open_sockets, 0);
  OK(room.next().last);
  EQUAL(room.kernel.sent.size(), 1u);
}

TEST("two parts share a page and the third waits for the next") {
  Room room({part(32000), part(32000), part(32000), done()});
  const auto first = room.next();
  EQUAL(first.size, 2u * 32016);
  OK(!first.last);
  EQUAL(check_framing(Bytes(room.page).first(first.size)).count, 2u);
  const auto second = room.next();
  EQUAL(second.size, 32016u);
  OK(second.last);
}

TEST("a part that does not fit behind another gets a page of its own") {
  Room room({part(40000), part(50000), done()});
  EQUAL(room.next().size, 40016u);
  EQUAL(room.next().size, 50016u);
}

TEST("a part larger than a page is an error and not a silent gap") {
  Room room({part(110000), done()});
  const auto page = room.next();
  OK(page.last);
  EQUAL(page.error.error, EMSGSIZE);
}

TEST("a dump is read on when the kernel pauses") {
  Room room({part(4)});
  EQUAL(room.next().size, 20u);
  room.kernel.on_poll = [&] { room.kernel.say(part(8) + done()); };
  const auto page = room.next();
  EQUAL(page.size, 24u);
  OK(page.last);
}

TEST("a kernel that says nothing runs into the time limit") {
  Room room;
  const auto page = room.next();
  EQUAL(std::string(page.error.stage), "poll");
  EQUAL(page.error.error, ETIMEDOUT);
  EQUAL(room.kernel.open_sockets, 0);
}

TEST("the error in DONE is reported with its words, after the messages before it") {
  Room room({part(4), done(EBUSY, extended_ack("try again", 0))});
  const auto page = room.next();
  EQUAL(page.size, 20u);
  EQUAL(page.refusal.error, EBUSY);
  EQUAL(page.refusal.text, "try again");
}

TEST("a refused dump ends with the errno and the words") {
  Room room({nak(kSequence, ENODEV, extended_ack("no device", 16))});
  const auto page = room.next();
  EQUAL(page.size, 0u);
  OK(page.last);
  EQUAL(page.refusal.error, ENODEV);
  EQUAL(page.refusal.text, "no device");
}

TEST("an ACK ends a request that was no dump after all") {
  Room room({part(4, 0), ack(kSequence)});
  const auto page = room.next();
  EQUAL(page.size, 20u);
  OK(page.last);
  EQUAL(page.refusal.error, 0);
}

TEST("an interruption on any message is remembered until the end") {
  Room on_part({part(32000), part(32000, NLM_F_MULTI | NLM_F_DUMP_INTR), part(4), done()});
  OK(!on_part.next().interrupted);
  OK(on_part.next().interrupted);
  Room on_done({part(4), done(0, {}, NLM_F_MULTI | NLM_F_DUMP_INTR)});
  OK(on_done.next().interrupted);
}

TEST("messages of others leave no gap in the page") {
  Room room;
  room.kernel.on_send = [&](const Blob&) {
    room.kernel.queue.push_back({part(100) + done(), 0, 99});
    room.kernel.say(message(kType, 0, 77, Blob(8)) + part(4) + message(NLMSG_NOOP, 0, kSequence) + part(12));
    room.kernel.say(done());
    return 0;
  };
  const auto page = room.next();
  EQUAL(page.size, 20u + 28);
  EQUAL(load<nlmsghdr>(room.page, 0).nlmsg_len, 20u);
  EQUAL(load<nlmsghdr>(room.page, 20).nlmsg_len, 28u);
}

TEST("a page is padded even where a datagram is not") {
  Blob unpadded = part(5);
  unpadded.resize(21);
  Room room({unpadded, part(4), done()});
  EQUAL(room.next().size, 24u + 20);
  EQUAL(check_framing(Bytes(room.page).first(44)).count, 2u);
}

TEST("a positive length in DONE is no error") {
  Room room({done(-52)});
  const auto page = room.next();
  EQUAL(page.refusal.error, 0);
  OK(page.last);
}

TEST("lost parts are an error, in the first read and in the second") {
  Room first;
  first.kernel.on_send = [&](const Blob&) {
    first.kernel.fail(ENOBUFS);
    return 0;
  };
  EQUAL(first.next().error.error, ENOBUFS);
  Room second;
  second.kernel.on_send = [&](const Blob&) {
    second.kernel.say(part(4));
    second.kernel.fail(ENOBUFS);
    return 0;
  };
  const auto page = second.next();
  EQUAL(page.size, 20u);
  EQUAL(page.error.error, ENOBUFS);
  Room overrun({message(NLMSG_OVERRUN, 0, kSequence)});
  EQUAL(overrun.next().error.error, ENOBUFS);
}

TEST("a part that is cut within a message is an error") {
  Blob cut = part(100);
  cut.resize(60);
  Room room({part(4) + cut});
  const auto page = room.next();
  EQUAL(page.size, 20u);
  EQUAL(page.error.error, EBADMSG);
}

TEST("interrupted system calls are made again in a dump") {
  Room room({part(4), done()});
  room.kernel.interrupts = 2;
  EQUAL(room.next().size, 20u);
  EQUAL(room.kernel.sent.size(), 1u);
}

TEST("a request that is not one message is not sent") {
  ScriptedKernel kernel;
  const Blob one = message(0x12, 0, 0);
  for (const Blob& request : {Blob{}, Blob{1}, one + one}) {
    Dump dump(kernel, 0, request);
    Blob page(Dump::kLeastPage);
    EQUAL(std::string(dump.next(page).error.stage), "framing");
  }
  EQUAL(kernel.sent.size(), 0u);
  EQUAL(kernel.open_sockets, 0);
}

TEST("a dump that cannot be sent says so and closes") {
  Room room;
  room.kernel.on_send = [](const Blob&) { return ENOMEM; };
  const auto page = room.next();
  EQUAL(std::string(page.error.stage), "send");
  EQUAL(page.error.error, ENOMEM);
  EQUAL(room.kernel.open_sockets, 0);
}

TEST("an abandoned dump closes its socket and stays closed") {
  Room room({part(4)});
  room.next();
  EQUAL(room.kernel.open_sockets, 1);
  room.dump.close();
  EQUAL(room.kernel.open_sockets, 0);
  OK(room.next().last);
}
