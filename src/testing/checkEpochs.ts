import type { NodeId } from "../base/NodeId.ts"
import { isSession } from "../server/laneKey.ts"
import type { LogRecord } from "../server/LogRecord.ts"
import type { Reply } from "../server/Message.ts"
import { Checkers, type CheckersOptions } from "./Checkers.ts"
import { type CallKey, callKey, callText } from "./checkAnswers.ts"

/** The judge of one epoch: what holds in every group, and that what it refused stays refused. */
export class EpochCheckers extends Checkers {
  readonly #sessions: SessionEpochs
  readonly #number: number
  /** Calls that a correct node refused for good, and those it worked on, as "node call". */
  readonly #refused = new Set<string>()
  readonly #worked = new Set<string>()

  constructor(number: number, sessions: SessionEpochs, options: CheckersOptions) {
    super(options)
    this.#number = number
    this.#sessions = sessions
  }

  override durable(node: NodeId, record: LogRecord | undefined): void {
    super.durable(node, record)
    if (record === undefined || !this.isCorrect(node)) return
    for (const entry of record.entries) {
      if (entry.kind === "word" && isSession(entry.lane)) {
        this.#works(node, callKey(entry.lane, entry.index))
      } else if (entry.kind === "final" && entry.code === undefined) {
        this.#works(node, callKey(entry.session, entry.index))
      }
    }
  }

  override replied(node: NodeId, reply: Reply): void {
    super.replied(node, reply)
    if (reply.code !== "epoch_ended" || !this.isCorrect(node)) return
    const key = callKey(reply.session, reply.index)
    this.#refused.add(`${node} ${key}`)
    this.#both(node, key)
  }

  #works(node: NodeId, key: CallKey): void {
    this.#worked.add(`${node} ${key}`)
    this.#both(node, key)
    const other = this.#sessions.of(key, this.#number)
    if (other === this.#number) return
    this.fail(`two epochs: node ${node} works in ${this.#number} on ${callText(key)} of ${other}`)
  }

  #both(node: NodeId, key: CallKey): void {
    const which = `${node} ${key}`
    if (!this.#refused.has(which) || !this.#worked.has(which)) return
    this.fail(`P7: node ${node} has a part in ${callText(key)}, which it refused for good`)
  }
}

/** Which epoch a session belongs to: that in which a correct node worked for it first. */
export class SessionEpochs {
  readonly #epochs = new Map<string, number>()

  of(key: CallKey, number: number): number {
    const session = key.slice(0, key.lastIndexOf("/"))
    const known = this.#epochs.get(session)
    if (known === undefined) this.#epochs.set(session, number)
    return known ?? number
  }
}
