/** What is done about spam, faults and proven lies, and that no correct one suffers from it. */
import { describe, expect, it } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import { type Ban, Penalties, type Penalty, type PenaltyOptions } from "../src/link/penalties.ts"
import type { FaultModel } from "../src/quorum/FaultModel.ts"
import { makeSystem } from "../src/quorum/QuorumSystem.ts"
import type { Evidence } from "../src/server/evidence.ts"
import { echo } from "./support/tries.ts"
import { proofsOf, signedBy } from "./support/proofs.ts"

const limits = {
  ...LIMITS,
  ...{ memberMessagesPerSecond: 100, memberBytesPerSecond: 10_000, rateBurstMs: 1_000 },
  ...{ clientMessagesPerSecond: 100, clientBytesPerSecond: 10_000 },
  ...{ faultsMax: 3, routesMax: 4 }
}

const node = (options: PenaltyOptions = {}, model: FaultModel = "byzantine", n = 4) => {
  const done: Array<Penalty> = []
  const told: Array<string> = []
  const later: Array<() => void> = []
  const penalties = new Penalties({
    system: makeSystem(
      Array.from({ length: n }, (_, i) => i + 1),
      model
    ),
    limits,
    options,
    proofs: proofsOf(1, (then) => later.push(then)),
    penalise: (penalty) => done.push(penalty),
    report: (line) => told.push(line)
  })
  const work = (): void => {
    for (const then of later.splice(0)) then()
  }
  const faults = (of: number, atMs: number, count = 4): void => {
    for (let i = 0; i < count; i++) penalties.fault(of, "malformed", atMs)
  }
  return { penalties, done, told, work, faults }
}

const lie = (author: number, signed: boolean, other = { index: 1 }): Evidence => {
  const [first, second] = ["a", "b"].map((text) =>
    signedBy(author, echo(1, { ...other, body: new TextEncoder().encode(text) }))
  )
  const { lane, index, method, round } = first!
  const place = { author, lane, index, method, round, first: first!.body, second: second!.body }
  return signed ? { ...place, signatures: [first!.signature!, second!.signature!] } : place
}

describe("a member that sends more than its rate", () => {
  it("is slowed down until it has paid, and told about once", () => {
    const { penalties, done, told } = node()
    for (let i = 0; i < 150; i++) penalties.heard(2, 0, 5_000)
    expect(done).toEqual([{ kind: "slow", member: 2, untilMs: 5_050 }])
    expect(told).toEqual([
      "node 2 sends more than a rate allows: its link is slowed down; " +
        "look at its program's version and at its machine"
    ])
    expect(penalties.out(5_000)).toEqual([])
    for (let i = 0; i < 150; i++) penalties.heard(3, 0, 5_000 + 20 * i)
    expect(done.length).toBe(1)
  })

  it("is kept out where it goes on though it is granted nothing more", () => {
    const { penalties, done } = node()
    const creditMessages = limits.creditBytes / 16
    for (let i = 0; i < 200 + creditMessages; i++) penalties.heard(2, 0, 5_000)
    expect(done).toMatchObject([{ kind: "slow" }])
    for (let i = 0; i < 10; i++) penalties.heard(2, 0, 5_000)
    expect(done.at(-1)).toMatchObject({ kind: "cut", member: 2 })
  })

  it("is never cut, whatever the policy, and only reported where it says so", () => {
    for (const onSpam of ["report", "throttle", "disconnect"] as const) {
      const { penalties, done, told } = node({ onSpam })
      for (let i = 0; i < 10_000; i++) penalties.heard(2, 100, 5_000 + i)
      expect(done.length > 0).toBe(onSpam !== "report")
      expect(done.every(({ kind }) => kind === "slow")).toBe(true)
      expect(told.length).toBeGreaterThan(0)
    }
  })
})

describe("a client that sends more than its rate", () => {
  it("is refused what is beyond, and no other client is", () => {
    const { penalties, done } = node({}, "crash")
    const asks = (route: number, count: number): number =>
      Array.from({ length: count }, () => penalties.asked(route, "c", 0, 5_000)).filter(Boolean)
        .length
    expect([asks(1, 1_000), asks(2, 50)]).toEqual([101, 50])
    expect(done).toEqual([])
    expect(penalties.asked(1, "c", 0, 7_000)).toBe(true)
  })

  it("is cut where the policy says so, and it goes on for as long again", () => {
    const { penalties, done } = node({ onSpam: "disconnect" })
    for (let i = 0; i < 200; i++) penalties.asked(7, "c", 0, 5_000)
    expect(done).toEqual([])
    for (let i = 0; i < 10; i++) penalties.asked(7, "c", 0, 5_000)
    expect(done[0]).toMatchObject({ kind: "cutClient", route: 7 })
  })

  it("is served where the policy only reports", () => {
    const { penalties, told } = node({ onSpam: "report" })
    for (let i = 0; i < 500; i++) expect(penalties.asked(1, "c", 0, 5_000)).toBe(true)
    expect(told.length).toBe(1)
  })

  it("P8: so many are remembered; who owes nothing goes first", () => {
    const { penalties } = node()
    for (let i = 0; i < 200; i++) penalties.asked(1, "c", 0, 5_000)
    for (let route = 2; route <= 100; route++) penalties.asked(route, "c", 0, 5_000 + 100 * route)
    expect(penalties.clientCount).toBeLessThanOrEqual(limits.routesMax)
    penalties.gone(100)
    expect(penalties.clientCount).toBeLessThan(limits.routesMax)
  })
})

describe("a member that does what no correct one does", () => {
  it("is kept out for a while, longer each time, in a Byzantine group", () => {
    const { penalties, done, told, faults } = node()
    faults(2, 1_000, 3)
    expect(done).toEqual([])
    faults(2, 1_000, 1)
    expect(done).toMatchObject([{ kind: "cut", member: 2, untilMs: 2_000 }])
    expect(penalties.refuses(2, 1_500)).toEqual({
      banned: false,
      detail: "node 2 is kept out for another 500 ms"
    })
    expect(penalties.refuses(3, 1_500)).toBeUndefined()
    expect(penalties.refuses(2, 2_000)).toBeUndefined()
    faults(2, 2_000, 2)
    expect(done.at(-1)).toMatchObject({ untilMs: 4_000 })
    expect(told[0]).toContain("node 2 did what no correct member does")
    expect(told.length).toBe(1)
  })

  it("begins anew once it behaved for a while", () => {
    const { done, faults } = node()
    faults(2, 1_000)
    faults(2, 60_000)
    expect(done).toMatchObject([{ untilMs: 2_000 }, { untilMs: 61_000 }])
  })

  it("now and then is forgiven", () => {
    const { done, penalties } = node()
    for (let i = 0; i < 100; i++) penalties.fault(2, "bad_signature", 1_000 + 1_000 * i)
    expect(done).toEqual([])
  })

  it("is only reported where links prove nothing, and where it is in a crash group", () => {
    for (const { done, told, faults } of [node({}, "crash", 3), node({ unproven: true })]) {
      faults(2, 1_000, 100)
      expect(done).toEqual([])
      expect(told.length).toBe(1)
    }
  })

  it("stays where as many as may be faulty are out already: links to a quorum are left", () => {
    const { penalties, done, faults } = node()
    faults(2, 1_000)
    faults(3, 1_000)
    faults(4, 1_000)
    expect(done).toMatchObject([{ member: 2 }])
    expect(penalties.out(1_500)).toEqual([2])
    expect(penalties.counters.spared).toBeGreaterThan(0)
    faults(3, 2_000)
    expect(penalties.out(2_000)).toEqual([3])
  })
})

describe("a member of which two signed words prove that it lies", () => {
  it("is banned where the policy says so, until an operator lifts it", () => {
    const bans: Array<Ban> = []
    const { penalties, done, work } = node({ onProof: "ban", onBan: (ban) => bans.push(ban) })
    penalties.fault(3, "equivocation", 1_000, lie(3, true))
    expect(done).toEqual([])
    work()
    expect(done).toMatchObject([{ kind: "cut", member: 3, untilMs: Number.POSITIVE_INFINITY }])
    expect(penalties.refuses(3, 1e12)).toMatchObject({ banned: true })
    expect(bans).toMatchObject([{ member: 3, evidence: lie(3, true) }])
    bans[0]!.lift()
    expect(penalties.refuses(3, 1_000)).toBeUndefined()
  })

  it("is not by default, nor ever in a crash group", () => {
    for (const { penalties, work, done } of [node(), node({ onProof: "ban" }, "crash")]) {
      penalties.fault(3, "equivocation", 1_000, lie(3, true))
      work()
      expect(done).toEqual([])
    }
  })

  it("is not without a proof: a suspicion, another's signatures, one value, another place", () => {
    const good = lie(3, true)
    const moved = lie(3, true, { index: 2 })
    const others: ReadonlyArray<Evidence> = [
      lie(3, false),
      { ...lie(2, true), author: 3 },
      { ...good, second: good.first, signatures: [good.signatures![0], good.signatures![0]] },
      { ...good, signatures: [good.signatures![1], good.signatures![0]] },
      { ...good, second: moved.second, signatures: [good.signatures![0], moved.signatures![1]] },
      { ...good, round: 1 }
    ]
    for (const evidence of others) {
      const { penalties, work, done } = node({ onProof: "ban" })
      penalties.fault(3, "equivocation", 1_000, evidence)
      work()
      expect(done).toEqual([])
    }
  })

  it("no more are banned than may be faulty", () => {
    const { penalties, done, work } = node({ onProof: "ban" })
    for (const of of [2, 3, 4]) penalties.fault(of, "equivocation", 1_000, lie(of, true))
    work()
    expect(done.length).toBe(1)
    expect(penalties.counters).toMatchObject({ banned: 1, spared: 2 })
  })

  it("an operator bans in any group, from the start", () => {
    const { penalties } = node({ banned: [2] }, "crash")
    expect(penalties.refuses(2, 1_000)?.banned).toBe(true)
    expect(penalties.out(1_000)).toEqual([2])
  })

  it("evidence is told whatever the policy, a suspicion too", () => {
    const told: Array<boolean> = []
    const onEvidence = ({ signatures }: Evidence) => told.push(signatures !== undefined)
    const { penalties } = node({ onEvidence }, "crash")
    for (const signed of [true, false]) {
      penalties.fault(3, "equivocation", 1_000, lie(3, signed))
    }
    expect(told).toEqual([true, false])
  })
})
