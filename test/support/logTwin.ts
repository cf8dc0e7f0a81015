/**
 * The log once more, slow and obvious: bits instead of tables, numbers through DataView, arrays of
 * numbers instead of buffers, and every rule of reading tried at every byte. Shares no code with
 * src/link.
 */
const MAGIC = [...Buffer.from("\xf7QUORBLK", "latin1")]
const SEGMENT_MAGIC = [...Buffer.from("\xf7QUORLOG", "latin1")]

export const twinCrc = (bytes: ReadonlyArray<number>): number => {
  let crc = 0xffff_ffffn
  for (const byte of bytes) {
    crc ^= BigInt(byte)
    for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ 0x82f6_3b78n : crc >> 1n
  }
  return Number(crc ^ 0xffff_ffffn)
}

const numberBytes = (value: number, length: number): Array<number> => {
  const view = new DataView(new ArrayBuffer(8))
  view.setBigUint64(0, BigInt(value))
  return [...new Uint8Array(view.buffer)].slice(8 - length)
}
const numberOf = (bytes: ReadonlyArray<number>): number =>
  bytes.reduce((sum, byte) => sum * 256 + byte, 0)
const same = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): boolean =>
  a.length === b.length && a.every((byte, at) => byte === b[at])

const OWNER_BYTES = 96
const padded = (owner: string): Array<number> =>
  [...owner.padEnd(OWNER_BYTES, "\0")].map((letter) => letter.charCodeAt(0))
/** A segment's header: 48 bytes and the owner. */
export const TWIN_HEADER = 48 + OWNER_BYTES

export const twinHeader = (
  storeId: ReadonlyArray<number>,
  owner: string,
  number: number,
  sequence: number,
  start = 1
): Array<number> => {
  const head = [
    ...SEGMENT_MAGIC,
    ...numberBytes(1, 4),
    ...storeId,
    ...numberBytes(number, 4),
    ...numberBytes(start, 4),
    ...numberBytes(sequence, 8),
    ...padded(owner)
  ]
  return [...head, ...numberBytes(twinCrc(head), 4)]
}

const twinPieces = (record: ReadonlyArray<number>): Array<number> => {
  const out: Array<number> = []
  let piece: Array<number> = []
  const end = (more: boolean): void => {
    out.push(more ? 0x80 : 0, ...numberBytes(piece.length, 3), 0, ...piece)
    piece = []
  }
  record.forEach((byte, at) => {
    if (at >= 4 && same(record.slice(at - 4, at + 4), MAGIC)) end(true)
    piece.push(byte)
  })
  end(false)
  return out
}

export const twinBlock = (
  storeId: ReadonlyArray<number>,
  sequence: number,
  records: ReadonlyArray<ReadonlyArray<number>>
): Array<number> => {
  const payload = records.flatMap(twinPieces)
  const crc = twinCrc([...storeId, ...payload])
  const head = [
    ...MAGIC,
    ...numberBytes(sequence, 8),
    ...numberBytes(payload.length, 4),
    ...numberBytes(crc, 4)
  ]
  return [...head, ...numberBytes(twinCrc([...storeId, ...head]), 4), ...payload]
}

const twinBlockAt = (storeId: ReadonlyArray<number>, file: ReadonlyArray<number>, at: number) => {
  const head = file.slice(at, at + 28)
  if (!same(head.slice(0, 8), MAGIC) || head.length < 28) return undefined
  if (numberOf(head.slice(24)) !== twinCrc([...storeId, ...head.slice(0, 24)])) return undefined
  const end = at + 28 + numberOf(head.slice(16, 20))
  const payload = file.slice(at + 28, end)
  const whole =
    end <= file.length && numberOf(head.slice(20, 24)) === twinCrc([...storeId, ...payload])
  return { sequence: numberOf(head.slice(8, 16)), end, whole, payload }
}

const twinRecords = (payload: ReadonlyArray<number>): Array<Array<number>> => {
  const records: Array<Array<number>> = []
  let record: Array<number> = []
  for (let at = 0; at < payload.length; ) {
    const end = at + 5 + numberOf(payload.slice(at + 1, at + 4))
    record.push(...payload.slice(at + 5, end))
    if (payload[at] === 0) {
      records.push(record)
      record = []
    }
    at = end
  }
  return records
}

/** What a boot must make of the files `log-0000000001` …: the records it keeps, or a refusal. */
export const twinOpen = (
  files: ReadonlyArray<ReadonlyArray<number>>,
  owner: string
): { records: Array<Array<number>>; cut: number } | "refuse" => {
  const storeId = files[0]!.slice(12, 28)
  const records: Array<Array<number>> = []
  let sequence = 1
  for (const [index, file] of files.entries()) {
    const last = index === files.length - 1
    const wholeHeader = same(
      file.slice(0, TWIN_HEADER),
      twinHeader(storeId, owner, index + 1, sequence)
    )
    if (!wholeHeader && (index === 0 || !last || headerDiffers(file))) return "refuse"
    let at = wholeHeader ? TWIN_HEADER : 0
    while (wholeHeader && at < file.length) {
      const block = twinBlockAt(storeId, file, at)
      if (block !== undefined && block.sequence !== sequence) return "refuse"
      if (block === undefined || !block.whole) break
      records.push(...twinRecords(block.payload))
      sequence += 1
      at = block.end
    }
    if (at === file.length) continue
    if (!last) return "refuse"
    const torn = wholeHeader ? twinBlockAt(storeId, file, at) : undefined
    if (torn !== undefined && torn.end < file.length) return "refuse"
    for (let behind = at; behind < file.length; behind++) {
      const block = twinBlockAt(storeId, file, behind)
      if (block !== undefined && (block.sequence > sequence || block.whole)) return "refuse"
    }
    return { records, cut: file.length - at }
  }
  return { records, cut: 0 }
}

/** A readable header of something else, or one of a newer version: never a torn one. */
const headerDiffers = (file: ReadonlyArray<number>): boolean => {
  if (!same(file.slice(0, 8), SEGMENT_MAGIC) || file.length < 12) return false
  if (numberOf(file.slice(8, 12)) > 1) return true
  return (
    file.length >= TWIN_HEADER &&
    numberOf(file.slice(8, 12)) === 1 &&
    numberOf(file.slice(TWIN_HEADER - 4, TWIN_HEADER)) === twinCrc(file.slice(0, TWIN_HEADER - 4))
  )
}
