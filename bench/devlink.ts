import type { Transport } from '../lib/index.js'
import {
  AttributeSet,
  bytes,
  controller,
  eachAttribute,
  GENL_ID_CTRL,
  genlHeader,
  messagesOf,
  readMessage,
  string,
  u16,
  Writer,
  writeMessage,
} from '../lib/netlink/index.js'

/** As much of devlink (linux/devlink.h) as says which device this is and how its e-switch works. */
export interface DevlinkFacts {
  readonly driver?: string
  readonly firmware?: string
  readonly eswitchMode?: string
  readonly steeringMode?: string
}

const commands = { ESWITCH_GET: 29, PARAM_GET: 38, INFO_GET: 51 } as const
const modes = ['legacy', 'switchdev']

interface Body {
  readonly busName?: string
  readonly devName?: string
  readonly eswitchMode?: number
  readonly param?: Uint8Array
  readonly paramName?: string
  readonly driver?: string
  readonly running?: Uint8Array
  readonly unknown?: readonly { readonly id: number; readonly data: Uint8Array }[]
}

// biome-ignore format: one row per line
const body = new AttributeSet<Body>('devlink', {
  busName: { uapi: 'DEVLINK_ATTR_BUS_NAME', id: 1, codec: string, doc: '' },
  devName: { uapi: 'DEVLINK_ATTR_DEV_NAME', id: 2, codec: string, doc: '' },
  eswitchMode: { uapi: 'DEVLINK_ATTR_ESWITCH_MODE', id: 25, codec: u16, doc: '' },
  param: { uapi: 'DEVLINK_ATTR_PARAM', id: 80, codec: bytes, doc: '' },
  paramName: { uapi: 'DEVLINK_ATTR_PARAM_NAME', id: 81, codec: string, doc: '' },
  driver: { uapi: 'DEVLINK_ATTR_INFO_DRIVER_NAME', id: 98, codec: string, doc: '' },
  running: { uapi: 'DEVLINK_ATTR_INFO_VERSION_RUNNING', id: 101, codec: bytes, doc: '' },
})
const nested = { VERSION_NAME: 103, VERSION_VALUE: 104, VALUES_LIST: 84, VALUE: 85, VALUE_DATA: 86 } as const

/** Nothing is an error here: a device without devlink simply tells nothing. */
export async function devlinkFacts(
  transport: Transport,
  busName: string,
  devName: string,
): Promise<DevlinkFacts> {
  const family = await familyOf(transport)
  if (family === undefined) return {}
  const ask = async (cmd: number, more: Body = {}): Promise<Uint8Array | undefined> => {
    const writer = new Writer(128)
    writeMessage(
      writer,
      { header: genlHeader, body },
      { type: family, flags: 0, header: { cmd, version: 1 }, body: { busName, devName, ...more } },
    )
    const { failures, replies } = await transport.exchange('generic', writer.take())
    return failures.length > 0 || replies.length === 0 ? undefined : replies
  }
  const info = await ask(commands.INFO_GET)
  const eswitch = first(await ask(commands.ESWITCH_GET))
  const steering = first(await ask(commands.PARAM_GET, { paramName: 'flow_steering_mode' }))
  const mode = eswitch?.eswitchMode
  const driver = first(info)?.driver
  const firmware = info === undefined ? undefined : versionsOf(info)
  const steeringMode = steering?.param === undefined ? undefined : stringIn(steering.param)
  return {
    ...(driver === undefined ? {} : { driver }),
    ...(firmware === undefined ? {} : { firmware }),
    ...(mode === undefined ? {} : { eswitchMode: modes[mode] ?? `mode ${mode}` }),
    ...(steeringMode === undefined ? {} : { steeringMode }),
  }
}

async function familyOf(transport: Transport): Promise<number | undefined> {
  const writer = new Writer(64)
  const header = { cmd: controller.commands.GETFAMILY as number, version: controller.version }
  writeMessage(writer, controller, {
    type: GENL_ID_CTRL,
    flags: 0,
    header,
    body: { familyName: 'devlink' },
  })
  const { replies } = await transport.exchange('generic', writer.take())
  for (const message of messagesOf(replies)) return readMessage(controller, message).body.familyId
  return undefined
}

function first(replies: Uint8Array | undefined): Body | undefined {
  if (replies === undefined) return undefined
  for (const message of messagesOf(replies)) return readMessage({ header: genlHeader, body }, message).body
  return undefined
}

/** The running versions: `fw.version` where there is one, all of them otherwise. */
function versionsOf(replies: Uint8Array): string | undefined {
  const found = new Map<string, string>()
  for (const { bytes: page, start, end } of messagesOf(replies)) {
    eachAttribute(page, start + 20, end, (id, from, to) => {
      if (id !== body.ids.running) return
      const texts = new Map<number, string>()
      eachAttribute(page, from, to, (part, low, high) => texts.set(part, string.read(page, low, high)))
      found.set(texts.get(nested.VERSION_NAME) ?? '?', texts.get(nested.VERSION_VALUE) ?? '?')
    })
  }
  const all = [...found].map(([name, value]) => `${name} ${value}`).join(', ')
  return found.get('fw.version') ?? found.get('fw') ?? (all === '' ? undefined : all)
}

/** The first value of a string parameter, three nests down. */
function stringIn(param: Uint8Array): string | undefined {
  let found: string | undefined
  const visit = (from: number, to: number) =>
    eachAttribute(param, from, to, (id, low, high) => {
      if (id === nested.VALUES_LIST || id === nested.VALUE) visit(low, high)
      else if (id === nested.VALUE_DATA) found ??= string.read(param, low, high)
    })
  visit(0, param.length)
  return found
}
