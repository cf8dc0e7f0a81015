/** Link cores without a network, for tests. */
import { checkLimits, LIMITS, type Limits } from "../../src/base/limits.ts"
import {
  decodeFrame,
  encodeFrame,
  type FrameContent,
  type Goodbye,
  type Hello
} from "../../src/link/frame.ts"
import { checkHello } from "../../src/link/hello.ts"
import { LinkCore, type LinkOptions } from "../../src/link/linkCore.ts"
import type { Message } from "../../src/server/Message.ts"

export const helloOf = (node: number, more: Partial<Hello> = {}): Hello => ({
  version: 1,
  group: "g",
  groupDigest: new Uint8Array(32).fill(1),
  node,
  clientKey: new Uint8Array(node === 0 ? 32 : 0),
  storeId: new Uint8Array(node === 0 ? 0 : 16),
  incarnation: new Uint8Array(16),
  horizonMs: 0,
  ...more
})
export const small: Limits = {
  ...LIMITS,
  bodyBytesMax: 2000,
  batchBytesMax: 4000,
  batchBytesTarget: 500,
  batchEnvelopesTarget: 8,
  cursorBytesMax: 3000,
  linkBytes: 12_000
}
checkLimits(small)

export class Side {
  readonly core: LinkCore
  readonly got: Array<Message> = []
  readonly opened: Array<Hello> = []
  constructor(hello: Hello, limits: Limits = LIMITS, more: Partial<LinkOptions> = {}) {
    this.core = new LinkCore({
      limits,
      hello,
      check: (theirs) => checkHello(hello, theirs),
      receive: (message) => this.got.push(message),
      opened: (theirs) => this.opened.push(theirs),
      ...more
    })
  }
  flushAll(): Array<Uint8Array> {
    const frames: Array<Uint8Array> = []
    for (let f = this.core.flush(); f !== undefined; f = this.core.flush()) frames.push(f)
    return frames
  }
  contents(): ReadonlyArray<FrameContent> {
    return this.flushAll().map((bytes) => decodeFrame(bytes)!.content)
  }
  take(frames: ReadonlyArray<Uint8Array>): Array<Goodbye | undefined> {
    return frames.map((bytes) => this.core.onBytes(bytes))
  }
}

export const pump = (a: Side, b: Side): void => {
  while (a.core.ready || b.core.ready) {
    b.take(a.flushAll())
    a.take(b.flushAll())
  }
}
export const open = (a: Side, b: Side): void => {
  a.core.start()
  b.core.start()
  pump(a, b)
}
export const members = (limits: Limits = LIMITS, more: Partial<LinkOptions> = {}): [Side, Side] => {
  const pair: [Side, Side] = [new Side(helloOf(1), limits), new Side(helloOf(2), limits, more)]
  open(...pair)
  return pair
}
/** A member that is open against frames made by hand, of which `next` is the second. */
export const opened = (): Side => {
  const side = new Side(helloOf(1))
  side.core.start()
  side.flushAll()
  side.take([bytes(1, { kind: "hello", hello: helloOf(2) })])
  return side
}
export const bytes = (sequence: number, content: FrameContent, acknowledged = 0): Uint8Array =>
  encodeFrame({ sequence, acknowledged, content })
export const messages = (...list: ReadonlyArray<Message>): FrameContent => ({
  kind: "messages",
  messages: list
})
export const want = (position: number): Message => ({ kind: "want", position })
export const word = (position: number, length: number): Message => ({
  kind: "word",
  position,
  lane: "slots",
  index: 1,
  method: 7,
  round: 0,
  ackedBelow: 0,
  body: new Uint8Array(length)
})
export const positions = (side: Side): ReadonlyArray<number> =>
  side.got.map((m) => (m.kind === "word" ? m.position : -1))
