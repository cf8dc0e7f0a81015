import { bytesEqual } from "../base/bytes.ts"
import type { NodeId } from "../base/NodeId.ts"
import { laneText } from "../server/laneKey.ts"
import type { Word } from "../server/Message.ts"

/**
 * What correct nodes say: one value per (lane, index, phase, round) in all their lives (P4), and
 * nothing before it is durable (P11).
 */
export class WordCheck {
  readonly #fail: (what: string) => void
  readonly #durable: boolean
  readonly #logged = new Map<string, Uint8Array>()
  readonly #spoken = new Map<string, Uint8Array>()

  /** @param durable whether nodes have a log; without one only what they send counts */
  constructor(fail: (what: string) => void, durable: boolean) {
    this.#fail = fail
    this.#durable = durable
  }

  get words(): number {
    return this.#spoken.size
  }

  logged(node: NodeId, word: Word): void {
    this.#note(this.#logged, node, word, "logged")
  }

  sent(node: NodeId, word: Word): void {
    const key = this.#note(this.#spoken, node, word, "said")
    if (!this.#durable) return
    const logged = this.#logged.get(key)
    if (logged === undefined) {
      this.#fail(`P11: node ${node} said ${wordText(word)} before it was durable`)
    } else if (!bytesEqual(logged, word.body)) {
      this.#fail(`P4: node ${node} said ${wordText(word)} with other bytes than it had logged`)
    }
  }

  #note(known: Map<string, Uint8Array>, node: NodeId, word: Word, did: string): string {
    const key = `${node} ${word.method}/${word.round}/${word.index}/${word.lane}`
    const before = known.get(key)
    if (before === undefined) known.set(key, word.body)
    else if (!bytesEqual(before, word.body)) {
      this.#fail(`P4: node ${node} ${did} two values for ${wordText(word)}`)
    }
    return key
  }
}

export const wordText = (word: Word): string =>
  `${laneText(word.lane)}/${word.index} phase ${word.method.toString(16)} round ${word.round}`
