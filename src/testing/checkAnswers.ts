import { bytesEqual } from "../base/bytes.ts"
import type { NodeId } from "../base/NodeId.ts"
import { type LaneKey, laneText } from "../server/laneKey.ts"
import type { Final } from "../server/LogRecord.ts"
import type { Reply } from "../server/Message.ts"

/** Session and index in one string. */
export type CallKey = string
export const callKey = (session: LaneKey, index: number): CallKey => `${session}/${index}`

export interface AnswerCheckOptions {
  readonly fail: (what: string) => void
  readonly durable: boolean
  /** Nodes that remember all they said; may shrink. */
  readonly correct: ReadonlyArray<NodeId>
  /** Whether the nodes must give the same answer: true of multiparty calls. */
  readonly agreed: (call: CallKey) => boolean
  /** Whether this node has durably decided a command that answers the call. */
  readonly decidedAt: (node: NodeId, call: CallKey) => boolean
}

/**
 * What correct nodes answer: at most one final per call and node for ever (P7), the same at all of
 * them, durable before it leaves (P11), never another one later, and in the end at all or at none.
 */
export class AnswerCheck {
  readonly #options: AnswerCheckOptions
  /** Durable finals, by call, then by node. */
  readonly #finals = new Map<CallKey, Map<NodeId, Final>>()
  /** The answer of the nodes. */
  readonly #answers = new Map<CallKey, Uint8Array>()
  /** Which nodes gave it. */
  readonly #nodes = new Map<CallKey, Map<NodeId, Uint8Array>>()

  constructor(options: AnswerCheckOptions) {
    this.#options = options
  }

  logged(node: NodeId, final: Final): void {
    const key = callKey(final.session, final.index)
    let finals = this.#finals.get(key)
    if (finals === undefined) this.#finals.set(key, (finals = new Map()))
    if (finals.has(node)) {
      this.#options.fail(`at most once: node ${node} finished ${callText(key)} twice`)
    }
    finals.set(node, final)
    if (final.code === undefined) this.#answered(node, key, final.body)
  }

  replied(node: NodeId, reply: Reply): void {
    const key = callKey(reply.session, reply.index)
    if (reply.code !== undefined || reply.tentative || !this.#options.agreed(key)) return
    this.#answered(node, key, reply.body)
    if (!this.#options.durable || this.#options.decidedAt(node, key)) return
    const final = this.#finals.get(key)?.get(node)
    if (final === undefined) {
      this.#options.fail(`P11: node ${node} answered ${callText(key)} before that was durable`)
    } else if (final.code !== undefined || !bytesEqual(final.body, reply.body)) {
      this.#options.fail(`P7: node ${node} answered ${callText(key)} not as it had logged`)
    }
  }

  finishedAt(node: NodeId, key: CallKey): boolean {
    return this.#finals.get(key)?.has(node) ?? false
  }

  /** What the correct nodes answered. */
  answer(key: CallKey): Uint8Array | undefined {
    return this.#answers.get(key)
  }

  answersOf(key: CallKey): ReadonlyMap<NodeId, Uint8Array> {
    return this.#nodes.get(key) ?? NONE
  }

  /** A call that some correct node answered and another has not finished, among those `wanted`. */
  missing(wanted: (key: CallKey) => boolean): string | undefined {
    for (const [key, finals] of this.#finals) {
      if (!this.#nodes.has(key) || !wanted(key)) continue
      const { correct } = this.#options
      const node = correct.find((node) => !finals.has(node))
      if (node !== undefined && correct.some((node) => finals.has(node)))
        return `totality: ${callText(key)} is finished, but not at node ${node}`
    }
    return undefined
  }

  #answered(node: NodeId, key: CallKey, body: Uint8Array): void {
    if (!this.#options.agreed(key)) return
    let nodes = this.#nodes.get(key)
    if (nodes === undefined) this.#nodes.set(key, (nodes = new Map()))
    const own = nodes.get(node)
    if (own === undefined) nodes.set(node, body)
    else if (!bytesEqual(own, body)) {
      this.#options.fail(`P7: node ${node} answered ${callText(key)} in two ways`)
    }
    const answer = this.#answers.get(key)
    if (answer === undefined) this.#answers.set(key, body)
    else if (!bytesEqual(answer, body)) {
      this.#options.fail(`agreement: node ${node} answered ${callText(key)} unlike another`)
    }
  }
}

const NONE: ReadonlyMap<NodeId, Uint8Array> = new Map()

export const callText = (key: CallKey): string => {
  const at = key.lastIndexOf("/")
  return `call ${key.slice(at + 1)} of session ${laneText(key.slice(0, at))}`
}
