/** Mixes the words of an id. People number ufids by hand, so every bit has to reach the low ones (the finaliser of MurmurHash3). */
export function hash(w0: number, w1: number, w2: number, w3: number): number {
  let h = w0 ^ Math.imul(w1, 0x9e3779b1)
  h ^= Math.imul(w2, 0x85ebca77) ^ Math.imul(w3, 0xc2b2ae3d)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
