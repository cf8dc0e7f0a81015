import type { NodeId } from "../base/NodeId.ts"
import { isSession, laneText } from "../server/laneKey.ts"
import type { Delivered } from "../server/LogRecord.ts"
import type { ProtocolSpec } from "../server/Protocol.ts"

/** What correct nodes hand to their own applications: each index once in the log, and then only. */
export class DeliveryCheck {
  readonly #fail: (what: string) => void
  readonly #durable: boolean
  /** "node lane/index" of what is durably delivered. */
  readonly #logged = new Set<string>()

  constructor(fail: (what: string) => void, durable: boolean) {
    this.#fail = fail
    this.#durable = durable
  }

  logged(node: NodeId, { lane, index }: Delivered): void {
    const where = at(node, laneText(lane), index)
    if (this.#logged.has(where)) this.#fail(`at most once: node ${where} is delivered twice`)
    this.#logged.add(where)
  }

  /** A delivery of a protocol lane: in a session the call's answer says that it is over. */
  finishedAt(node: NodeId, lane: string, index: number): boolean {
    return !isSession(lane) && this.#logged.has(at(node, lane, index))
  }

  /** The protocol, with every delivery checked on its way to the application. */
  over(spec: ProtocolSpec): ProtocolSpec {
    const deliver = spec.world?.deliver
    if (deliver === undefined) return spec
    return {
      ...spec,
      world: {
        ...spec.world,
        deliver: {
          ...deliver,
          to: (message, delivery) => {
            const where = at(delivery.self, delivery.lane, delivery.index)
            if (this.#durable && !this.#logged.has(where)) {
              this.#fail(`P11: node ${where} was handed in before it was durable`)
            }
            deliver.to(message, delivery)
          }
        }
      }
    }
  }
}

const at = (node: NodeId, lane: string, index: number): string => `${node} ${lane}/${index}`
