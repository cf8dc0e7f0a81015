import { LIMITS } from "../base/limits.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { PeerMessage, Word } from "../server/Message.ts"

/** What a receiver has heard of one sender over the link that stands. */
interface Heard {
  /** No word comes before it is told where words go on. */
  last: number | undefined
}

/** Of a said word, beside its body, at most. */
const WORD_BYTES = 256

/**
 * Words come in the order in which they were said (P6): over one link, from where it was told that
 * they go on, none is left out but what the receiver itself has told as done, what it was told is
 * gone, and what a higher round has taken the place of. What was asked for again comes again, below
 * the newest.
 */
export class OrderCheck {
  readonly #fail: (what: string) => void
  /** Durable words of a correct node, by position from 1; undefined where it has no log. */
  readonly #said: (author: NodeId) => ReadonlyArray<Word> | undefined
  /** A word of a higher round has taken the place of this one. */
  readonly #outdated: (author: NodeId, word: Word) => boolean
  readonly #heard = new Map<string, Heard>()
  /** Up to where a node has told another that it needs its words no more: "node author". */
  readonly #done = new Map<string, number>()
  /** Below it a node was told that another's words are gone: "node author". */
  readonly #cut = new Map<string, number>()
  readonly #tailBytesMax: number
  /** Up to where a node has told another that it took its words: "node author". */
  readonly #took = new Map<string, number>()

  constructor(
    fail: (what: string) => void,
    said: (author: NodeId) => ReadonlyArray<Word> | undefined,
    outdated: (author: NodeId, word: Word) => boolean,
    tailBytesMax = LIMITS.tailBytesMax
  ) {
    this.#fail = fail
    this.#tailBytesMax = tailBytesMax
    this.#said = said
    this.#outdated = outdated
  }

  linkUp(node: NodeId, from: NodeId): void {
    this.#heard.set(`${node} ${from}`, { last: undefined })
  }

  /** A message of a correct node reached a correct node. */
  came(node: NodeId, from: NodeId, message: PeerMessage): void {
    if (message.kind === "taken") {
      const key = `${from} ${node}`
      this.#done.set(key, Math.max(message.done, this.#done.get(key) ?? 0))
    }
    const took = message.kind === "taken" ? Math.max(message.taken, message.done) : 0
    this.#tookUpTo(from, node, message.kind === "want" ? message.position - 1 : took)
    if (message.kind === "cut") {
      this.#allowed(node, from, message.position)
      const key = `${node} ${from}`
      this.#cut.set(key, Math.max(message.position, this.#cut.get(key) ?? 0))
    }
    const heard = this.#heard.get(`${node} ${from}`)
    if (heard === undefined) return
    if (message.kind === "resume") heard.last = message.position - 1
    if (message.kind === "word") this.#word(node, from, heard, message)
  }

  /** Only who has said much may let go of what another still needs. */
  #allowed(node: NodeId, from: NodeId, position: number): void {
    const said = this.#said(from) ?? []
    const needed = said
      .slice(this.#done.get(`${node} ${from}`) ?? 0, position - 1)
      .find(({ to }) => to?.includes(node) !== false)
    if (needed === undefined) return
    const bytes = said.reduce((sum, { body }) => sum + body.length + WORD_BYTES, 0)
    if (2 * bytes >= this.#tailBytesMax) return
    const what = `node ${from} let go of word ${needed.position}, which node ${node} needs`
    this.#fail(`P5: ${what}, and had room: ${bytes} bytes said`)
  }

  #tookUpTo(node: NodeId, author: NodeId, position: number): void {
    const key = `${node} ${author}`
    this.#took.set(key, Math.max(position, this.#took.get(key) ?? 0))
  }

  /** Whether the node has told the author that it took all that was for it below a position. */
  tookBelow(node: NodeId, author: NodeId, position: number): boolean {
    const before = (this.#said(author) ?? []).slice(0, position - 1)
    const last = before.findLast(({ to }) => to === undefined || to.includes(node))
    return (last?.position ?? 0) <= (this.#took.get(`${node} ${author}`) ?? 0)
  }

  /** Below it the author's words may never come to the node: it was told so. */
  cutAt(node: NodeId, author: NodeId): number {
    return this.#cut.get(`${node} ${author}`) ?? 0
  }

  #word(node: NodeId, from: NodeId, heard: Heard, word: Word): void {
    const said = this.#said(from)
    if (said === undefined) return
    const { last } = heard
    if (last === undefined) {
      return this.#fail(`P6: word ${word.position} of node ${from} came to node ${node} unasked`)
    }
    const done = this.#done.get(`${node} ${from}`) ?? 0
    const gone = this.cutAt(node, from) - 1
    for (let position = Math.max(last, done, gone) + 1; position < word.position; position++) {
      const before = said[position - 1]
      if (before === undefined || before.to?.includes(node) === false) continue
      if (this.#outdated(from, before)) continue
      const what = `word ${word.position} of node ${from} came to node ${node}`
      return this.#fail(`P6: ${what} before word ${position}`)
    }
    heard.last = Math.max(last, word.position)
  }
}
