import type { Dump, Exchange, Transport } from '../../../types/transport.js'
import { DpifError } from '../../errors.js'

/** What goes to netfilter, whose socket the kernel has only when its module is there. */
export class Netfilter {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  async exchange(batch: Uint8Array): Promise<Exchange> {
    try {
      return await this.#transport.exchange('netfilter', batch)
    } catch (error) {
      throw missing(error, [EPROTONOSUPPORT], 'nfnetlink')
    }
  }

  /** `module` is what answers the request; nothing else is wrong with one that asks for everything. */
  async *dump(request: Uint8Array, module: string): Dump {
    try {
      yield* this.#transport.dump('netfilter', request)
    } catch (error) {
      throw missing(error, [EPROTONOSUPPORT, EINVAL], module)
    }
  }
}

function missing(error: unknown, errnos: readonly number[], module: string): unknown {
  if (!(error instanceof DpifError) || error.errno === undefined || !errnos.includes(error.errno))
    return error
  const problem = `the kernel has nothing that knows of connections; load it with 'modprobe ${module}'`
  return new DpifError('NO_MODULE', problem, { errno: error.errno, cause: error })
}

const EPROTONOSUPPORT = 93
const EINVAL = 22
