import type { NodeId } from "../base/NodeId.ts"

/** What one member said. */
export interface Vote<V> {
  readonly from: NodeId
  readonly message: V
}
