/**
 * A node alone in a partition climbs: one ballot after another, and nobody hears them. They are
 * rounds of one instance that keeps the latest, so they exhaust nothing; and what it said last can
 * be followed, and gone above, once it is heard.
 */
import { describe, expect, it } from "vitest"
import { decodePlain } from "../../src/base/plainData.ts"
import { methodId } from "../../src/server/Message.ts"
import type { ProtocolSpec } from "../../src/server/Protocol.ts"
import { ballots } from "../support/ballots.ts"
import { Nodes, request } from "../support/engines.ts"
import { logged } from "../support/tries.ts"

const CLIMBS = 20_000
const HEARD = 3_000
const LONE = 3

/** Paxos whose nodes take a new ballot every 10 ms, once they were told to. */
const climbing: ProtocolSpec = {
  ...ballots,
  methods: ballots.methods.map((method) =>
    method.name === "lead"
      ? {
          ...method,
          handler: ({ message, forward, arm }: any) =>
            message.climb === true ? arm("climb", 10) : forward.prepare(message)
        }
      : method
  ),
  world: {
    ...ballots.world!,
    timers: {
      climb: ({ state, forward, arm }) => [
        forward.prepare({ ballot: state.promised + 1 }),
        arm("climb", 10)
      ]
    }
  }
}

class Group extends Nodes {
  #calls = 0

  constructor() {
    // Full long before the climb ends: what it costs then must not grow with what is in it.
    super(climbing, 3, "crash", { tailBytesMax: 65_536 })
  }
  ask(id: number, method: "lead" | "put", message: object): void {
    this.call(id, request("bal", method, message, { index: ++this.#calls }))
  }
  turns(id: number, count: number): void {
    for (let n = 0; n < count; n++) {
      this.atMs += 10
      this.input(id, { kind: "turnEnd" })
    }
  }
  promised(id: number): number {
    const { entries } = this.engines.get(id)!.checkpoint()
    return entries.flatMap((e) => (e.kind === "state" ? [decodePlain(e.body) as any] : []))[0]
      .promised
  }
  chosen(id: number): ReadonlyArray<string> {
    const { entries } = this.engines.get(id)!.checkpoint()
    return entries.flatMap((e) =>
      e.kind === "installed" ? [decodePlain(e.body) as any] : []
    )[0][1]
  }
  prepares(id: number): ReadonlyArray<number> {
    const prepare = methodId("bal/prepare")
    return logged(this, id, "word").flatMap((w) => (w.method === prepare ? [w.round] : []))
  }
}

/** Node 3 is alone and climbs; 1 and 2 go on, led by node 1. */
const parted = (climbs: number): Group => {
  const group = new Group()
  group.ask(1, "lead", { ballot: 1 })
  group.settle()
  for (const id of [1, 2]) group.cut(id, LONE)
  group.ask(LONE, "lead", { climb: true })
  group.turns(LONE, climbs)
  for (const [i, value] of ["a", "b"].entries()) {
    group.ask(1, "put", { ballot: 1, slot: i + 1, value })
  }
  group.settle()
  return group
}

describe("ballots without end", () => {
  it("a lone node that climbs exhausts nothing, and hurts nobody", () => {
    const group = parted(CLIMBS)
    expect(group.promised(LONE)).toBe(CLIMBS + 1)
    expect(group.prepares(LONE)).toHaveLength(CLIMBS)
    expect(group.engines.get(LONE)!.counters["poisoned"]).toBeUndefined()
    // Nobody needs to hear of the ballots it left behind.
    expect(group.engines.get(LONE)!.size()["tail"]).toBeLessThan(10)
    // What each author said last in each phase: node 1 and this one a prepare, this one a promise.
    const { lanes } = (group.engines.get(LONE) as any).core
    expect(lanes.get("views").open.values()[0].rows.size).toBeLessThanOrEqual(3)
    for (const id of [1, 2]) {
      expect(group.promised(id)).toBe(1)
      expect(group.chosen(id)).toEqual(["a", "b"])
    }
  })

  it("is followed by all once it is heard, and keeps what was chosen without it", () => {
    const group = parted(HEARD)
    for (const id of [1, 2]) group.link(id, LONE)
    group.settle()
    for (const id of group.ids) expect(group.promised(id)).toBe(HEARD + 1)
    for (const id of group.ids) expect(group.chosen(id)).toEqual(["a", "b"])
    group.ask(LONE, "put", { ballot: HEARD + 1, slot: 3, value: "c" })
    group.settle()
    for (const id of group.ids) expect(group.chosen(id)).toEqual(["a", "b", "c"])
  })

  it("is followed though it has lost its memory of how far it climbed, for its word stands", () => {
    const group = parted(200)
    group.boot(LONE)
    group.ask(LONE, "lead", { climb: true })
    group.turns(LONE, 3)
    const climbed = group.prepares(LONE)
    expect(climbed).toEqual([...climbed].sort((a, b) => a - b))
    expect(new Set(climbed).size).toBe(203)
    for (const id of [1, 2]) group.link(id, LONE)
    group.settle()
    for (const id of group.ids) expect(group.promised(id)).toBe(204)
  })

  it("tells nobody that words are gone which nobody needs, though it met them never", () => {
    const group = new Group()
    for (const id of [1, 2]) group.cut(id, LONE)
    group.boot(LONE)
    group.ask(LONE, "lead", { climb: true })
    group.turns(LONE, 50)
    group.logs.set(LONE, [group.engines.get(LONE)!.checkpoint()])
    group.boot(LONE)
    for (const id of [1, 2]) group.link(id, LONE)
    const told: Array<string> = []
    group.settle((from, _, { kind }) => from !== LONE || told.push(kind) > 0)
    expect(told).toContain("resume")
    expect(told).not.toContain("cut")
    for (const id of group.ids) expect(group.promised(id)).toBe(50)
  })

  it("another can go above it and lead", () => {
    const group = parted(200)
    for (const id of [1, 2]) group.link(id, LONE)
    group.settle()
    group.ask(2, "lead", { ballot: 500 })
    group.settle()
    group.ask(2, "put", { ballot: 500, slot: 3, value: "c" })
    group.settle()
    for (const id of group.ids) expect(group.promised(id)).toBe(500)
    for (const id of group.ids) expect(group.chosen(id)).toEqual(["a", "b", "c"])
  })
})
