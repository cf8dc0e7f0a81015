/** What members have to agree on of what they run: services, their methods, and their lanes. */
import { sha256 } from "../base/sha256.ts"
import type { ProtocolSpec } from "../server/Protocol.ts"

/** 32 bytes: SHA-256 over the canonical text of docs/PROTOCOL.md, section 5. */
export const protocolsDigest = (protocols: ReadonlyArray<ProtocolSpec>): Uint8Array => {
  const text = JSON.stringify(["quorate-protocols/1", ...protocols.map(partOf).sort(byName)])
  // Names in it are ASCII: protobuf sees to it.
  return sha256(Uint8Array.from(text, (character) => character.charCodeAt(0)))
}

type Part = readonly [name: string, ...rest: ReadonlyArray<unknown>]

const byName = ([a]: Part, [b]: Part): number => (a < b ? -1 : a > b ? 1 : 0)

const partOf = ({ name, methods, world }: ProtocolSpec): Part => [
  name,
  methods
    .map((m): Part => [m.fullName, m.call, m.signed === true, [...m.forwards].sort()])
    .sort(byName),
  Object.entries(world?.lanes ?? {})
    .map(([lane, { window = 0, rounds = 1, floor = "" }]): Part => [lane, window, rounds, floor])
    .sort(byName)
]
