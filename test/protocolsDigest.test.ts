import { describe, expect, it } from "vitest"
import { hexOf } from "../src/base/bytes.ts"
import { sha256 } from "../src/base/sha256.ts"
import { protocolsDigest } from "../src/link/protocolsDigest.ts"
import type { MethodSpec, ProtocolSpec } from "../src/server/Protocol.ts"
import { Bracha } from "../examples/reliable-broadcast/bracha.ts"
import { bracha } from "./support/engines.ts"

const digest = (...protocols: ReadonlyArray<ProtocolSpec>): string =>
  hexOf(protocolsDigest(protocols))
const change = (more: Partial<MethodSpec>): ProtocolSpec => ({
  ...bracha,
  methods: bracha.methods.map((method, i) => (i === 1 ? { ...method, ...more } : method))
})

describe("the digest of protocols", () => {
  it("is the hash of the text that the protocol page describes", () => {
    const text =
      '["quorate-protocols/1",["rb.v1.ReliableBroadcast",' +
      '[["rb.v1.ReliableBroadcast/Broadcast","multiparty",false,["echo"]],' +
      '["rb.v1.ReliableBroadcast/Echo","phase",false,["ready"]],' +
      '["rb.v1.ReliableBroadcast/Ready","phase",false,["ready"]]],[]]]'
    expect(digest(Bracha.spec)).toBe(hexOf(sha256(new TextEncoder().encode(text))))
  })

  it("is that of the same protocols in any order, and of no others", () => {
    const other: ProtocolSpec = { ...bracha, name: "other.v1.Other" }
    const laned: ProtocolSpec = { ...bracha, world: { lanes: { slots: { window: 8 } } } }
    const backwards: ProtocolSpec = { ...bracha, methods: [...bracha.methods].reverse() }
    expect(digest(bracha, other)).toBe(digest(other, bracha))
    expect(digest(backwards)).toBe(digest(bracha))
    const all = [
      digest(bracha),
      digest(bracha, other),
      digest(laned),
      digest({ ...bracha, world: { lanes: { slots: { window: 9 } } } }),
      digest(change({ signed: true })),
      digest(change({ forwards: [] })),
      digest(change({ fullName: "rb.v1.ReliableBroadcast/Ecco" }))
    ]
    expect(new Set(all).size).toBe(all.length)
  })
})
