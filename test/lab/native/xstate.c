// A library to load before user-mode Linux, on processors whose register state is larger than it knows.
//
// Linux 6.1 in user mode saves and restores the floating point state of its processes in a buffer as large as AVX-512 needs. The
// machine's kernel hands out less than there is, but takes back nothing less than all of it (xstateregs_set(), arch/x86/kernel/fpu/
// regset.c), which with AMX is four times as much: its first process dies with "ptrace set fp regs failed". Here the rest is added
// as zeros, the state of tiles nobody uses.

#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MOST = 64 << 10 };

static long set_all(pid_t pid, const struct iovec *part) {
  static unsigned char state[MOST] __attribute__((aligned(64)));
  static size_t size;
  if (size == 0) {
    struct iovec whole = {state, MOST};
    if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, NT_X86_XSTATE, &whole) < 0) return -1;
    size = whole.iov_len;
    memset(state, 0, sizeof state);
  }
  if (part->iov_len >= size) return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_X86_XSTATE, part);
  memcpy(state, part->iov_base, part->iov_len);
  struct iovec whole = {state, size};
  return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_X86_XSTATE, &whole);
}

long ptrace(enum __ptrace_request request, ...) {
  va_list arguments;
  va_start(arguments, request);
  const pid_t pid = va_arg(arguments, pid_t);
  void *address = va_arg(arguments, void *);
  void *data = va_arg(arguments, void *);
  va_end(arguments);
  if (request == PTRACE_SETREGSET && (long)address == NT_X86_XSTATE) return set_all(pid, data);
  long word = 0;
  // The C library's wrapper answers what is peeked, where the system call stores it.
  const int peeks = request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER;
  const long result = syscall(SYS_ptrace, request, pid, address, peeks ? &word : data);
  if (!peeks || result < 0) return result;
  errno = 0;
  return word;
}
