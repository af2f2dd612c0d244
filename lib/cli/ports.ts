import { type AddPortOptions, DpifError, type PortType } from '../index.js'
import { CliError, fromInput } from './error.js'
import type { Call } from './verb.js'

/** Attaches each interface; one that fails is named, and the others are attached all the same. */
export async function addPorts(call: Call, datapath: string, interfaces: readonly string[]): Promise<void> {
  await eachPort(call, datapath, interfaces, async (dpif, text) => {
    const { name, ...options } = parseInterface(text)
    await fromInput(() => dpif.addPort(name, { ...options, up: true }))
  })
}

/** Does `work` for each of `words`; a failure is said and does not stop the others. */
export async function eachPort(
  call: Call,
  datapath: string,
  words: readonly string[],
  work: (dpif: Awaited<ReturnType<Call['kernel']['open']>>, word: string) => Promise<void>,
): Promise<void> {
  const dpif = await call.kernel.open(datapath)
  try {
    for (const word of words) {
      try {
        await work(dpif, word)
      } catch (error) {
        if (!(error instanceof DpifError || error instanceof CliError)) throw error
        call.fail(error.message)
      }
    }
  } finally {
    await dpif.close()
  }
}

// ovs-dpctl's names for kinds of port.
const types: Readonly<Record<string, PortType>> = {
  system: 'netdev',
  netdev: 'netdev',
  internal: 'internal',
  gre: 'gre',
  ip6gre: 'ip6gre',
  erspan: 'erspan',
  ip6erspan: 'ip6erspan',
  vxlan: 'vxlan',
  geneve: 'geneve',
}

type Setting = (value: string, name: string) => AddPortOptions

/** A datapath's tunnel leaves its ends and its key to flows; scripts for ovs-dpctl say so. */
const byFlow =
  (key: string): Setting =>
  (value, name) => {
    if (value !== 'flow')
      throw new CliError(`${name}: ${key}=${value}: flows say that; only ${key}=flow is supported`)
    return {}
  }

const settings: Readonly<Record<string, Setting>> = {
  type: (value, name) => {
    const type = types[value]
    if (type !== undefined) return { type }
    throw new CliError(`${name}: '${value}' is no type of port; there are ${Object.keys(types).join(', ')}`)
  },
  port_no: (value, name) => {
    if (!/^[0-9]{1,5}$/.test(value)) throw new CliError(`${name}: '${value}' is no port number`)
    return { number: Number(value) }
  },
  dst_port: (value, name) => {
    const dstPort = /^[0-9]{1,5}$/.test(value) ? Number(value) : 0
    if (dstPort < 1 || dstPort > 0xffff) throw new CliError(`${name}: '${value}' is no UDP port`)
    return { tunnel: { dstPort } }
  },
  exts: (value, name) => {
    if (value !== 'gbp') throw new CliError(`${name}: '${value}' is no extension; there is gbp`)
    return { tunnel: { gbp: true } }
  },
  key: byFlow('key'),
  local_ip: byFlow('local_ip'),
  remote_ip: byFlow('remote_ip'),
}

/** `eth0,type=internal,port_no=7`. */
export function parseInterface(text: string): AddPortOptions & { readonly name: string } {
  const [name = '', ...words] = text.split(',')
  if (name === '') throw new CliError(`'${text}' names no interface`)
  let options: AddPortOptions = {}
  for (const word of words) {
    const [, key = '', value = ''] = /^([^=]*)=?(.*)$/s.exec(word) ?? []
    const setting = Object.hasOwn(settings, key) ? settings[key] : undefined
    if (setting === undefined) {
      const known = Object.keys(settings).join(', ')
      throw new CliError(`${name}: option '${key}' is not supported; there are ${known}`)
    }
    const more = setting(value, name)
    const tunnel = more.tunnel === undefined ? {} : { tunnel: { ...options.tunnel, ...more.tunnel } }
    options = { ...options, ...more, ...tunnel }
  }
  return { name, ...options }
}
