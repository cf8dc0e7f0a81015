import { bytesEqual } from "../base/bytes.ts"
import type { NodeId } from "../base/NodeId.ts"
import { type LaneKey, laneText } from "../server/laneKey.ts"
import type { Word } from "../server/Message.ts"

export interface WordCheckOptions {
  readonly fail: (what: string) => void
  /** Whether nodes have a log; without one only what they send counts. */
  readonly durable: boolean
  /** Nodes that remember all they said; may shrink. */
  readonly correct: ReadonlyArray<NodeId>
  /** What was said after that time may still be on its way. */
  readonly arrivedMs: () => number
  readonly nowMs: () => number
  /** Lanes in which nobody speaks in a lower round again. */
  readonly latest: ReadonlySet<LaneKey>
  /** Whether this node needs no more words for the instance: it is durably over there. */
  readonly finishedAt: (node: NodeId, lane: LaneKey, index: number) => boolean
  /** Below it the node was told that the author's words are gone. */
  readonly cutAt: (node: NodeId, author: NodeId) => number
}

/**
 * What correct nodes say: one value per (lane, index, phase, round) in all their lives (P4),
 * nothing before it is durable (P11), and in the end all of it has reached whom it was for (P5).
 */
export class WordCheck {
  readonly #options: WordCheckOptions
  readonly #fail: (what: string) => void
  readonly #logged = new Map<string, Uint8Array>()
  readonly #spoken = new Map<string, Uint8Array>()
  /**
   * Durable words of each correct node; the one at position i is at i - 1. Of a node without a log
   * what it has sent in its present life.
   */
  readonly #words = new Map<NodeId, Array<Word>>()
  readonly #loggedMs = new Map<Word, number>()
  /** The last word of each author in an instance and phase, in lanes that keep latest rounds. */
  readonly #latest = new Map<string, Word>()
  /** Durable words, by lane and index. */
  readonly #spokenIn = new Map<string, Array<{ readonly node: NodeId; readonly word: Word }>>()
  /** Words that reached a node in its present life, as "author/position". */
  readonly #given = new Map<NodeId, Set<string>>()

  constructor(options: WordCheckOptions) {
    this.#options = options
    this.#fail = options.fail
  }

  logged(node: NodeId, word: Word): void {
    this.#note(this.#logged, node, word, "logged")
    const words = this.#add(node, word)
    if (this.#options.latest.has(word.lane)) this.#risen(node, word)
    const where = `${word.lane}/${word.index}`
    const spoken = this.#spokenIn.get(where)
    if (spoken === undefined) this.#spokenIn.set(where, [{ node, word }])
    else spoken.push({ node, word })
    if (word.position !== words.length) {
      this.#fail(`node ${node} numbers its word ${words.length} as ${word.position}`)
    }
  }

  #add(node: NodeId, word: Word): ReadonlyArray<Word> {
    const words = this.#words.get(node) ?? []
    if (words.length === 0) this.#words.set(node, words)
    words.push(word)
    this.#loggedMs.set(word, this.#options.nowMs())
    return words
  }

  #risen(node: NodeId, word: Word): void {
    const key = `${node} ${word.method}/${word.index}/${word.lane}`
    const before = this.#latest.get(key)
    this.#latest.set(key, word)
    if (before === undefined || before.round <= word.round) return
    this.#fail(`P4: node ${node} said ${wordText(word)} after round ${before.round}`)
  }

  /** Another one of a higher round has taken its place. */
  outdated(node: NodeId, word: Word): boolean {
    const latest = this.#latest.get(`${node} ${word.method}/${word.index}/${word.lane}`)
    return latest !== undefined && latest.round > word.round
  }

  /** Durable words of a correct node; the one at position i is at i - 1. */
  saidBy(node: NodeId): ReadonlyArray<Word> | undefined {
    return this.#options.durable ? this.#words.get(node) : undefined
  }

  /** A node starts with nothing in its memory. */
  booted(node: NodeId): void {
    this.#given.set(node, new Set())
    if (this.#options.durable) return
    this.#words.delete(node)
    for (const given of this.#given.values()) {
      for (const word of given) if (word.startsWith(`${node}/`)) given.delete(word)
    }
  }

  /** A word reached a node. */
  given(node: NodeId, author: NodeId, word: Word): void {
    this.#given.get(node)?.add(`${author}/${word.position}`)
  }

  /** How many correct nodes have durably said something in this instance. */
  speakers(lane: LaneKey, index: number): number {
    const spoken = this.#spokenIn.get(`${lane}/${index}`) ?? []
    return this.#options.correct.filter((of) => spoken.some(({ node }) => node === of)).length
  }

  /** Words of the instance are gone for a node: it may never be over there. */
  cutIn(where: string): boolean {
    const { correct, cutAt } = this.#options
    return (this.#spokenIn.get(where) ?? []).some(({ node: author, word: { position } }) =>
      correct.some((node) => position < cutAt(node, author))
    )
  }

  #came(node: NodeId, author: NodeId, position: number): boolean {
    return this.#given.get(node)?.has(`${author}/${position}`) === true
  }

  /** A word that has not reached a node that may still need it. */
  missing(): string | undefined {
    const { correct, finishedAt, cutAt } = this.#options
    const arrivedMs = this.#options.arrivedMs()
    for (const [author, words] of this.#words) {
      if (this.#options.durable && !correct.includes(author)) continue
      for (const word of words) {
        if (this.#loggedMs.get(word)! > arrivedMs || this.outdated(author, word)) continue
        for (const node of correct) {
          if (node === author || word.to?.includes(node) === false) continue
          if (this.#came(node, author, word.position)) continue
          if (finishedAt(node, word.lane, word.index)) continue
          if (word.position < cutAt(node, author)) continue
          const which = `word ${word.position} of node ${author} (${wordText(word)})`
          return `P5: ${which} never reached node ${node}`
        }
      }
    }
    return undefined
  }

  sent(node: NodeId, word: Word): void {
    const key = this.#note(this.#spoken, node, word, "said")
    if (!this.#options.durable) {
      if (word.position > (this.#words.get(node)?.length ?? 0)) this.#add(node, word)
      return
    }
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
