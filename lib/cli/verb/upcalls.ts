import { type Dpif, formatActions, formatKey, type Upcall } from '../../index.js'
import { lineOptions, withDatapath } from '../flows.js'
import { toJson } from '../json.js'
import type { Call, Verb } from '../verb.js'

export const upcalls: Verb = {
  name: 'upcalls',
  usage: '[DP]',
  summary: 'take over the upcalls of DP and print them as they come, until SIGINT',
  details: `A line is "miss: KEY, length:BYTES" for a packet without a flow, and "action: …" for one that an action userspace handed over, with its
userdata and actions; "lost: N" tells of packets that did not fit in the buffers. Whoever had the upcalls before, for example ovs-vswitchd, has
them no more, and afterwards nobody has. Nothing is answered: the packets are gone.`,
  options: ['count', 'more', 'names', 'no-names', 'json'],
  takes: [0, 1],
  writes: true,
  json: `one document a line: { kind: "miss"|"action", key, length, packet, userdata?, egressTunnel?, actions?, mru?, hash? } or { lost }`,
  run: (call) => withDatapath(call, (dpif) => print(call, dpif)),
}

async function print({ options, out, io }: Call, dpif: Dpif): Promise<void> {
  const line = options.json ? jsonOf : textWith(await lineOptions(dpif, options))
  const stream = dpif.upcalls()
  const release = io.onInterrupt?.(() => void stream.return()) ?? (() => {})
  let left = options.count ?? Number.POSITIVE_INFINITY
  try {
    await stream.start()
    // Whoever waits for it knows that what comes from now on is printed.
    io.stderr.write(`hwacc: listening on ${dpif.datapath.name}\n`)
    for await (const { upcalls: batch, lost } of stream) {
      for (const upcall of batch.slice(0, left)) await out.line(line(upcall))
      left -= Math.min(left, batch.length)
      if (lost > 0n) await out.line(options.json ? toJson({ lost }) : `lost: ${lost}`)
      await out.flush()
      if (left === 0 || out.closed) break
    }
  } finally {
    release()
  }
}

function jsonOf({ kind, key, length, packet, userdata, egressTunnel, actions, mru, hash }: Upcall): string {
  return toJson({ kind, key, length, packet, userdata, egressTunnel, actions, mru, hash })
}

function textWith(format: Awaited<ReturnType<typeof lineOptions>>) {
  return ({ kind, key, length, userdata, egressTunnel, actions, mru }: Upcall): string => {
    const parts = [`${kind}: ${formatKey(key, undefined, format)}`, `length:${length}`]
    if (mru !== undefined) parts.push(`mru:${mru}`)
    if (userdata !== undefined) parts.push(`userdata:${Buffer.from(userdata).toString('hex')}`)
    if (egressTunnel !== undefined) parts.push(formatKey({ tunnel: egressTunnel }, undefined, format))
    if (actions !== undefined) parts.push(`actions:${formatActions(actions, format)}`)
    return parts.join(', ')
  }
}
