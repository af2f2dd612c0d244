/** Words of a `tc` command line, and what there are no words for. */
export class Phrase {
  readonly words: string[] = []
  readonly lacks: string[] = []

  say(...words: readonly (string | number)[]): void {
    this.words.push(...words.map(String))
  }

  /** `problem` names the thing and says why `tc` has no words for it. */
  lack(problem: string): void {
    this.lacks.push(problem)
  }
}

export const hexOf = (value: number): string => `0x${value.toString(16)}`

/** Two digits a byte, in the order in which they lie there. */
export const bytesOf = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

/** What `tc` calls an Ethernet type (ll_proto_a2n() in iproute2 takes numbers too). */
export const protocolName = (type: number): string => names[type] ?? `0x${type.toString(16).padStart(4, '0')}`

const names: Readonly<Record<number, string>> = {
  2048: 'ip',
  2054: 'arp',
  33024: '802.1Q',
  34525: 'ipv6',
  34887: 'mpls_uc',
  34888: 'mpls_mc',
  34984: '802.1ad',
}
