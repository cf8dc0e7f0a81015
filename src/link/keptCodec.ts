/** The bytes of the entries that checkpoints hold. See recordCodec.ts. */
import { assert } from "../base/assert.ts"
import { isNodeId } from "../base/NodeId.ts"
import type { Reader, Writer } from "../base/wire.ts"
import { isSession } from "../server/laneKey.ts"
import type { Kept } from "../server/LogRecord.ts"
import { laneAt } from "./laneAt.ts"

const KIND = { checkpoint: 5, session: 6, lane: 7, state: 8, member: 12 } as const
const FIXED_BYTES_MAX = 64
/** Of one counter. */
const UINT_BYTES_MAX = 8
/** What a member shows as its store: hexadecimal, and short; empty where it was never seen. */
const STORE_ID = /^[ -~]{0,256}$/
const STORE_ID_CHARACTERS_MAX = 256
const BLOCK_BYTES_MAX = 0x7fff_ffff

export const writeKept = (to: Writer, entry: Kept): void => {
  to.reserve(FIXED_BYTES_MAX)
  to.byte(KIND[entry.kind])
  switch (entry.kind) {
    case "checkpoint":
      to.uint(entry.tailFirst)
      return to.uint(entry.last)
    case "member": {
      const { storeId } = entry
      assert(STORE_ID.test(storeId), "a store is named by a short ASCII text")
      to.reserve(FIXED_BYTES_MAX + storeId.length)
      to.uint(entry.node)
      to.latin(storeId)
      return to.uint(entry.done)
    }
    case "session":
      assert(isSession(entry.session), "a session has a session's name")
      to.latin(entry.session)
      to.uint(entry.ackedBelow)
      return writeRising(to, entry.late)
    case "lane":
      to.latin(entry.lane)
      to.uint(entry.own)
      return writeRising(to, entry.ahead)
    case "state":
      to.reserve(FIXED_BYTES_MAX + entry.body.length)
      to.fixed32(entry.protocol)
      return to.block(entry.body)
  }
}

/** How many, then each as its distance from the one before. */
const writeRising = (to: Writer, numbers: ReadonlyArray<number>): void => {
  to.reserve(UINT_BYTES_MAX * (numbers.length + 1))
  to.uint(numbers.length)
  let before = 0
  for (const number of numbers) {
    assert(number > before, "numbers rise")
    to.uint(number - before)
    before = number
  }
}

/** `undefined`: no such kind, or not its fields. */
export const readKept = (from: Reader, kind: number): Kept | undefined => {
  const entry = readEntry(from, kind)
  return from.ok ? entry : undefined
}

const readEntry = (from: Reader, kind: number): Kept | undefined => {
  switch (kind) {
    case KIND.checkpoint:
      return { kind: "checkpoint", tailFirst: from.uint(), last: from.uint() }
    case KIND.member: {
      const node = from.uint()
      const storeId = from.text(STORE_ID_CHARACTERS_MAX)
      if (!isNodeId(node) || !STORE_ID.test(storeId)) return undefined
      return { kind: "member", node, storeId, done: from.uint() }
    }
    case KIND.session: {
      const session = laneAt(from)
      const ackedBelow = from.uint()
      const late = readRising(from)
      return isSession(session) ? { kind: "session", session, ackedBelow, late } : undefined
    }
    case KIND.lane:
      return { kind: "lane", lane: laneAt(from), own: from.uint(), ahead: readRising(from) }
    case KIND.state:
      return { kind: "state", protocol: from.fixed32(), body: block(from) }
    default:
      return undefined
  }
}

const block = (from: Reader): Uint8Array => from.copy(from.blockLength(BLOCK_BYTES_MAX))

const readRising = (from: Reader): ReadonlyArray<number> => {
  const numbers: Array<number> = []
  let number = 0
  for (let left = from.uint(); left > 0 && from.ok; left--) {
    const step = from.uint()
    number += step
    if (step === 0 || number > Number.MAX_SAFE_INTEGER) from.fail()
    else numbers.push(number)
  }
  return numbers
}
