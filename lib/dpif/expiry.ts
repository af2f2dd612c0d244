import type { Ufid } from '../../types/flow.js'
import type { DelOp } from '../../types/op.js'

/** A deletion of what nobody uses any more. */
export class Expiry implements DelOp {
  readonly op = 'del'
  readonly ufid: Ufid
  readonly stats = true

  constructor(ufid: Ufid) {
    this.ufid = ufid
  }
}
