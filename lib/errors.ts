import type { ErrorCode, ErrorDetails, Failure, ReasonCode } from '../types/errors.js'

/** One row per error code: what it means, and what usually helps. The README's list is checked against it. */
export const errorCodes: Readonly<Record<ErrorCode, { meaning: string; advice: string }>> = {
  ADDON_MISSING: {
    meaning: 'The native addon could not be loaded, so no kernel can be reached.',
    advice: 'Install a C++20 compiler, make and python3, then run `npm rebuild dpif-hw-acc`.',
  },
  BAD_MESSAGE: {
    meaning: 'Bytes that are not a well-formed netlink message or attribute.',
    advice: 'Check the raw attributes that were passed in.',
  },
  BUSY: {
    meaning: 'The thing is in use, or too much is waiting for it.',
    advice: 'Wait, release the device first, or choose another port number.',
  },
  CLOSED: { meaning: 'The object was closed before or during the call.', advice: 'Open it again.' },
  DUMP_INTERRUPTED: {
    meaning: 'The table changed while it was dumped; flows may be missing or doubled.',
    advice: 'Dump again if a consistent view is needed.',
  },
  EXISTS: { meaning: 'It exists already.', advice: "Use mode 'upsert' or 'modify' to change it." },
  INVALID: {
    meaning: 'The kernel found the request wrong.',
    advice: 'Look at the path and at the kernel log.',
  },
  KERNEL: {
    meaning: 'The kernel refused for a reason that has no code of its own.',
    advice: 'Look at errno.',
  },
  NOT_FOUND: {
    meaning: 'There is no such flow.',
    advice: "Use mode 'create' or 'upsert', or check the ufid.",
  },
  NO_DATAPATH: { meaning: 'There is no such datapath.', advice: 'List them with `hwacc dump-dps`.' },
  NO_IN_PORT: {
    meaning: 'A TC filter lives on one port, and the flow names none.',
    advice: 'Match in_port exactly.',
  },
  NO_MODULE: {
    meaning: 'The kernel lacks a module that is needed.',
    advice: 'Load it, for example with `modprobe openvswitch`.',
  },
  NO_PORT: { meaning: 'There is no such port or device.', advice: 'List the ports with `hwacc show`.' },
  NO_PRIVILEGE: {
    meaning: 'The kernel denied the request.',
    advice: 'Run with CAP_NET_ADMIN in the network namespace of the datapath.',
  },
  NO_SPACE: {
    meaning: 'A table or a resource is full.',
    advice: 'Let the policy name another backend after this one.',
  },
  OUTCOME_UNKNOWN: {
    meaning: 'The answer of the kernel was lost; the request may or may not have been carried out.',
    advice: 'Get the flow to see what is there.',
  },
  POLICY: { meaning: 'The policy threw or gave an answer that is none.', advice: 'Look at the cause.' },
  PORT_NOT_IN_TC: {
    meaning: 'The port is of a kind that TC cannot filter on or output to.',
    advice: "Let the policy name 'ovs' for this port.",
  },
  SOCKET: { meaning: 'The netlink socket failed.', advice: 'Look at errno; open again.' },
  SYNTAX: {
    meaning: 'Text that is not a flow, an action or a number of the right size.',
    advice: 'See the position.',
  },
  UNSUPPORTED: {
    meaning: 'The kernel or the device cannot do it (EOPNOTSUPP).',
    advice: 'Read the kernel text.',
  },
  UNSUPPORTED_ACTION: {
    meaning: 'The backend has no way to carry out an action.',
    advice: "Let the policy name 'ovs' after it.",
  },
  UNSUPPORTED_MATCH: {
    meaning: 'The backend has no way to match exactly that.',
    advice: "Let the policy name 'ovs' after it, or clear the mask.",
  },
}

/** An exception with a stable `code`; `errno`, `backend`, `kernel`, `path` and `reason` as far as they are known. */
export class DpifError extends Error implements Failure {
  readonly code: ErrorCode
  readonly errno?: number
  readonly backend?: string
  readonly kernel?: string
  readonly path?: string
  readonly reason?: ReasonCode

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    const { cause, ...known } = details
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    Object.assign(this, known)
  }

  static from(failure: Failure): DpifError {
    return new DpifError(failure.code, failure.message, failure)
  }
}
Object.defineProperty(DpifError.prototype, 'name', { value: 'DpifError', configurable: true, writable: true })

// The kernel's errno, and the code a person gets to see. Everything else is KERNEL.
const byErrno: Readonly<Record<number, readonly [name: string, code: ErrorCode]>> = {
  1: ['EPERM', 'NO_PRIVILEGE'],
  2: ['ENOENT', 'NOT_FOUND'],
  6: ['ENXIO', 'NO_PORT'],
  12: ['ENOMEM', 'NO_SPACE'],
  13: ['EACCES', 'NO_PRIVILEGE'],
  16: ['EBUSY', 'BUSY'],
  17: ['EEXIST', 'EXISTS'],
  19: ['ENODEV', 'NO_PORT'],
  22: ['EINVAL', 'INVALID'],
  27: ['EFBIG', 'NO_SPACE'],
  28: ['ENOSPC', 'NO_SPACE'],
  34: ['ERANGE', 'INVALID'],
  75: ['EOVERFLOW', 'INVALID'],
  93: ['EPROTONOSUPPORT', 'NO_MODULE'],
  95: ['EOPNOTSUPP', 'UNSUPPORTED'],
  97: ['EAFNOSUPPORT', 'NO_MODULE'],
  105: ['ENOBUFS', 'OUTCOME_UNKNOWN'],
}

/** The code for an errno of the kernel; `KERNEL` for those without a code of their own. */
export function codeOf(errno: number): ErrorCode {
  return byErrno[errno]?.[1] ?? 'KERNEL'
}

/** `ENOENT` for 2; `errno 123` for one without a name here. */
export function errnoName(errno: number): string {
  return byErrno[errno]?.[0] ?? `errno ${errno}`
}
