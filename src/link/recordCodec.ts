/**
 * The bytes of one log record: a format version, then entries until the end. Each entry is a kind
 * and its fields in fixed order; the version, not field numbers, is what carries change.
 */
import { assert } from "../base/assert.ts"
import { errorCodeNumber, errorCodeOf } from "../base/errorCode.ts"
import { isNodeId, type NodeId } from "../base/NodeId.ts"
import type { Item } from "../server/application.ts"
import { EPOCH_STATES, type EpochStanding } from "../server/epoch.ts"
import { isSession, SESSION_BYTES } from "../server/laneKey.ts"
import type {
  Decided,
  Delivered,
  Floor,
  Final,
  Installed,
  LogEntry,
  LogRecord,
  Stored
} from "../server/LogRecord.ts"
import type { Word } from "../server/Message.ts"
import { decodeMessage, wordWire } from "./envelope.ts"
import { readKept, writeKept } from "./keptCodec.ts"
import { laneAt } from "./laneAt.ts"
import { Reader, Writer } from "../base/wire.ts"

/** First byte of every record. */
export const RECORD_VERSION = 1

/** Those of checkpoints are in keptCodec.ts. */
const KIND = {
  word: 1,
  final: 2,
  stored: 3,
  decided: 4,
  delivered: 10,
  floor: 9,
  horizon: 11,
  installed: 13,
  epoch: 14
} as const
/** No field of a record is longer than a segment could be. */
const BLOCK_BYTES_MAX = 0x7fff_ffff
const FIXED_BYTES_MAX = 96

const scratch = new Writer(4096)

/** The caller owns the bytes. A word's envelope goes in as it goes on the wire, encoded once. */
export const encodeRecord = (record: LogRecord): Uint8Array => {
  scratch.clear()
  scratch.reserve(1)
  scratch.byte(RECORD_VERSION)
  for (const entry of record.entries) writeEntry(entry)
  return scratch.take()
}

const writeEntry = (entry: LogEntry): void => {
  switch (entry.kind) {
    case "word":
      return writeWord(entry)
    case "final":
      return writeFinal(entry)
    case "stored":
      return writeStored(entry)
    case "decided":
      return writeDecided(entry)
    case "delivered":
      return writeDelivered(entry)
    case "floor":
      scratch.reserve(FIXED_BYTES_MAX)
      scratch.byte(KIND.floor)
      return writeAt(entry)
    case "installed":
      return writeInstalled(entry)
    case "horizon":
      scratch.reserve(FIXED_BYTES_MAX)
      scratch.byte(KIND.horizon)
      return scratch.uint(entry.horizonMs)
    case "epoch":
      scratch.reserve(FIXED_BYTES_MAX + entry.next.length)
      scratch.byte(KIND.epoch)
      scratch.byte(EPOCH_STATES.indexOf(entry.state) + 1)
      return scratch.block(entry.next)
    default:
      return writeKept(scratch, entry)
  }
}

const writeWord = (word: Word): void => {
  const wire = wordWire(word)
  scratch.reserve(FIXED_BYTES_MAX + wire.length + 3 * (word.to?.length ?? 0))
  scratch.byte(KIND.word)
  // 0: to all; else one more than the number of members named.
  scratch.uint(word.to === undefined ? 0 : word.to.length + 1)
  if (word.to !== undefined) {
    for (const node of word.to) {
      assert(isNodeId(node), "a word goes to members")
      scratch.uint(node)
    }
  }
  scratch.block(wire)
}

const writeFinal = (final: Final): void => {
  assert(isSession(final.session) && final.index >= 1, "a final reply answers a call")
  const detail = final.detail ?? ""
  scratch.reserve(FIXED_BYTES_MAX + 3 * detail.length + final.body.length)
  scratch.byte(KIND.final)
  scratch.latin(final.session)
  scratch.uint(final.index)
  scratch.uint(final.code === undefined ? 0 : errorCodeNumber(final.code))
  scratch.text(detail)
  scratch.block(final.body)
}

const writeStored = (stored: Stored): void => {
  scratch.reserve(FIXED_BYTES_MAX + stored.body.length)
  scratch.byte(KIND.stored)
  scratch.fixed32(stored.protocol)
  scratch.block(stored.body)
}

const writeDecided = (decided: Decided): void => {
  scratch.reserve(FIXED_BYTES_MAX)
  scratch.byte(KIND.decided)
  scratch.fixed32(decided.protocol)
  writeAt(decided)
  scratch.uint(decided.items.length)
  for (const { command, call } of decided.items) {
    const callBytes = call === undefined ? 0 : call.session.length + 3 * call.method.length
    scratch.reserve(FIXED_BYTES_MAX + command.length + callBytes)
    scratch.block(command)
    scratch.byte(call === undefined ? 0 : 1)
    if (call === undefined) continue
    // A call id comes out of an app's message: whatever it holds is kept as it is.
    scratch.block(call.session)
    scratch.uint(call.index)
    scratch.text(call.method)
  }
}

const writeDelivered = (delivered: Delivered): void => {
  const { call, body } = delivered
  scratch.reserve(FIXED_BYTES_MAX + 3 * call.length + body.length)
  scratch.byte(KIND.delivered)
  scratch.fixed32(delivered.protocol)
  writeAt(delivered)
  scratch.text(call)
  scratch.block(body)
}

const writeInstalled = (installed: Installed): void => {
  scratch.reserve(FIXED_BYTES_MAX + installed.body.length)
  scratch.byte(KIND.installed)
  scratch.fixed32(installed.protocol)
  writeAt(installed)
  scratch.block(installed.body)
}

const writeAt = ({ lane, index }: Decided | Delivered | Floor | Installed): void => {
  assert(lane.length >= 1 && lane.length <= SESSION_BYTES, "a lane is a session or a short name")
  scratch.latin(lane)
  scratch.uint(index)
}

/**
 * The record in `bytes`, all of it copied out, so that it keeps no segment in memory; `undefined`
 * when it is malformed or of another version: {@link explainRecord} says which. Never throws.
 */
export const decodeRecord = (bytes: Uint8Array): LogRecord | undefined => {
  const reader = new Reader()
  reader.set(bytes, 0, bytes.length)
  if (reader.byte() !== RECORD_VERSION) return undefined
  const entries: Array<LogEntry> = []
  while (reader.more) {
    const entry = readEntry(reader)
    if (entry === undefined) return undefined
    entries.push(entry)
  }
  return reader.ok ? { entries } : undefined
}

/** For the operator: why {@link decodeRecord} refused these bytes, and what to do. */
export const explainRecord = (bytes: Uint8Array): string => {
  const version = bytes[0] ?? 0
  if (version <= RECORD_VERSION) {
    return "a record that Quorate never writes, though its checksum is right: restore the folder"
  }
  const what = `a record of format ${version}, this Quorate reads format ${RECORD_VERSION}`
  return `${what}: start the newer version that wrote it`
}

const readEntry = (reader: Reader): LogEntry | undefined => {
  const kind = reader.byte()
  switch (kind) {
    case KIND.word:
      return readWord(reader)
    case KIND.final:
      return readFinal(reader)
    case KIND.stored:
      return readStored(reader)
    case KIND.decided:
      return readDecided(reader)
    case KIND.delivered:
      return readDelivered(reader)
    case KIND.floor: {
      const [lane, index] = [laneAt(reader), reader.uint()]
      return reader.ok && index >= 1 ? { kind: "floor", lane, index } : undefined
    }
    case KIND.installed:
      return readInstalled(reader)
    case KIND.horizon: {
      const horizonMs = reader.uint()
      return reader.ok ? { kind: "horizon", horizonMs } : undefined
    }
    case KIND.epoch:
      return readEpoch(reader)
    default:
      return readKept(reader, kind)
  }
}

const block = (reader: Reader): Uint8Array => reader.copy(reader.blockLength(BLOCK_BYTES_MAX))

const readWord = (reader: Reader): Word | undefined => {
  const named = reader.uint()
  const to: Array<NodeId> = []
  for (let i = 1; i < named && reader.ok; i++) to.push(reader.uint())
  const length = reader.blockLength(BLOCK_BYTES_MAX)
  if (!reader.ok || !to.every(isNodeId)) return undefined
  const start = reader.at
  reader.at = start + length
  const options = { bodyBytesMax: BLOCK_BYTES_MAX, copy: true }
  const word = decodeMessage(reader.bytes, start, start + length, options)
  if (word === undefined || word.kind !== "word") return undefined
  return named === 0 ? word : { ...word, to }
}

const readFinal = (reader: Reader): Final | undefined => {
  const session = laneAt(reader)
  const index = reader.uint()
  const number = reader.uint()
  const detail = reader.text(BLOCK_BYTES_MAX)
  const body = block(reader)
  const code = errorCodeOf(number)
  if (!reader.ok || !isSession(session) || index < 1) return undefined
  if (number !== 0 && code === undefined) return undefined
  return {
    kind: "final",
    session,
    index,
    ...(code === undefined ? undefined : { code }),
    ...(detail === "" ? undefined : { detail }),
    body
  }
}

const readStored = (reader: Reader): Stored | undefined => {
  const protocol = reader.fixed32()
  const body = block(reader)
  return reader.ok ? { kind: "stored", protocol, body } : undefined
}

const readEpoch = (reader: Reader): EpochStanding | undefined => {
  const state = EPOCH_STATES[reader.byte() - 1]
  const next = block(reader)
  return reader.ok && state !== undefined ? { kind: "epoch", state, next } : undefined
}

const readDecided = (reader: Reader): Decided | undefined => {
  const protocol = reader.fixed32()
  const lane = laneAt(reader)
  const index = reader.uint()
  const items: Array<Item> = []
  for (let left = reader.uint(); left > 0 && reader.ok; left--) {
    const command = block(reader)
    const hasCall = reader.byte()
    if (hasCall > 1) return undefined
    const session = hasCall === 1 ? block(reader) : undefined
    if (session === undefined) items.push({ command })
    else {
      const call = { session, index: reader.uint(), method: reader.text(BLOCK_BYTES_MAX) }
      items.push({ command, call })
    }
  }
  return reader.ok ? { kind: "decided", protocol, lane, index, items } : undefined
}

const readInstalled = (reader: Reader): Installed | undefined => {
  const protocol = reader.fixed32()
  const lane = laneAt(reader)
  const index = reader.uint()
  const body = block(reader)
  return reader.ok ? { kind: "installed", protocol, lane, index, body } : undefined
}

const readDelivered = (reader: Reader): Delivered | undefined => {
  const protocol = reader.fixed32()
  const lane = laneAt(reader)
  const index = reader.uint()
  const call = reader.text(BLOCK_BYTES_MAX)
  const body = block(reader)
  if (!reader.ok || index < 1) return undefined
  return { kind: "delivered", protocol, lane, index, call, body }
}
