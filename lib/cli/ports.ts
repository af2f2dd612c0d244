import { type AddPortOptions, DpifError, type PortType } from '../index.js'
import { CliError } from './error.js'
import type { Call } from './verb.js'

/** Attaches each interface; one that fails is named, and the others are attached all the same. */
export async function addPorts(call: Call, datapath: string, interfaces: readonly string[]): Promise<void> {
  await eachPort(call, datapath, interfaces, async (dpif, text) => {
    const { name, ...options } = parseInterface(text)
    await dpif.addPort(name, { ...options, up: true })
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

// ovs-dpctl's names for the kernel's kinds of port.
const types: Readonly<Record<string, PortType>> = {
  system: 'netdev',
  netdev: 'netdev',
  internal: 'internal',
  gre: 'gre',
  vxlan: 'vxlan',
  geneve: 'geneve',
}

/** `eth0,type=internal,port_no=7`. */
export function parseInterface(text: string): AddPortOptions & { readonly name: string } {
  const [name = '', ...settings] = text.split(',')
  if (name === '') throw new CliError(`'${text}' names no interface`)
  let options: AddPortOptions = {}
  for (const setting of settings) {
    const [, key, value = ''] = /^([^=]*)=?(.*)$/s.exec(setting) ?? []
    if (key === 'type') {
      const type = types[value]
      if (type === undefined) {
        throw new CliError(
          `${name}: '${value}' is no type of port; there are ${Object.keys(types).join(', ')}`,
        )
      }
      options = { ...options, type }
    } else if (key === 'port_no') {
      if (!/^[0-9]{1,5}$/.test(value)) throw new CliError(`${name}: '${value}' is no port number`)
      options = { ...options, number: Number(value) }
    } else {
      throw new CliError(`${name}: option '${key}' is not supported; there are type and port_no`)
    }
  }
  return { name, ...options }
}
