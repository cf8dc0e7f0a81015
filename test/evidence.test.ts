/** P8: evidence takes bounded space, and nobody pushes out that of others. */
import { describe, expect, it } from "vitest"
import { type Evidence, EvidenceKept } from "../src/server/evidence.ts"

const piece = (author: number, index: number, signed = false): Evidence => ({
  ...{ author, lane: "slots", index, method: 1, round: 0 },
  first: Uint8Array.of(1),
  second: Uint8Array.of(2),
  ...(signed && { signatures: [new Uint8Array(64), new Uint8Array(64)] })
})
const names = (kept: EvidenceKept): ReadonlyArray<string> =>
  kept.all.map(({ author, index, signatures }) => `${author}/${index}${signatures ? "!" : ""}`)

describe("evidence", () => {
  it("of one place is kept once; a proof takes the place of a suspicion", () => {
    const kept = new EvidenceKept(4)
    expect([kept.add(piece(2, 1)), kept.add(piece(2, 1))]).toEqual([true, false])
    expect([kept.add(piece(2, 1, true)), kept.add(piece(2, 1, true))]).toEqual([true, false])
    expect(kept.add(piece(2, 1))).toBe(false)
    expect(names(kept)).toEqual(["2/1!"])
  })

  it("who lies most loses the oldest first, and suspicions before proofs", () => {
    const kept = new EvidenceKept(4)
    kept.add(piece(3, 1))
    kept.add(piece(2, 1, true))
    for (let index = 2; index < 100; index++) kept.add(piece(2, index))
    expect(names(kept)).toEqual(["3/1", "2/1!", "2/98", "2/99"])
    for (let index = 100; index < 200; index++) kept.add(piece(2, index, true))
    expect(names(kept)).toEqual(["3/1", "2/197!", "2/198!", "2/199!"])
  })
})
