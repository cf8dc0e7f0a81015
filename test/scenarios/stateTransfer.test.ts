/** Accepted and executed values outlive what makes a node forget: a state transfer, a restart. */
import { describe, expect, it } from "vitest"
import { decodePlain } from "../../src/base/plainData.ts"
import { methodId, type PeerMessage, type Word } from "../../src/server/Message.ts"
import { type Accepted, ballots } from "../support/ballots.ts"
import { Nodes, request } from "../support/engines.ts"

const is = (message: PeerMessage, phase: string): message is Word =>
  message.kind === "word" && message.method === methodId(`bal/${phase}`)

class Group extends Nodes {
  /** What never reaches a node. */
  lost = (_to: number, _message: PeerMessage): boolean => false
  private calls = 0

  constructor() {
    super(ballots, 3, "crash")
  }
  override input(id: number, input: Parameters<Nodes["input"]>[1]): void {
    if (input.kind === "message" && this.lost(id, input.message)) return
    super.input(id, input)
  }
  lead(id: number, ballot: number): void {
    this.call(id, request("bal", "lead", { ballot }, { index: ++this.calls }))
  }
  put(id: number, ballot: number, slot: number, value: string): void {
    this.call(id, request("bal", "put", { ballot, slot, value }, { index: ++this.calls }))
  }
  told(id: number): void {
    this.engines.get(id)!.hooks.ofLane("behind", "slots", { own: 1 })
    this.input(id, { kind: "turnEnd" })
  }
  /** Off the network, or back on it. */
  part(id: number): void {
    for (const other of this.ids) if (other !== id) this.cut(id, other)
  }
  join(id: number): void {
    for (const other of this.ids) if (other !== id) this.link(id, other)
  }
  /** What a node would take over a restart, as its own checkpoint says it. */
  kept(id: number): { readonly log: ReadonlyArray<string>; readonly slots: ReadonlyArray<number> } {
    const { entries } = this.engines.get(id)!.checkpoint()
    const body = (kind: "installed" | "state") =>
      entries.flatMap((e) => (e.kind === kind ? [decodePlain(e.body) as any] : []))[0]
    const accepted: Map<number, Accepted> = body("state").accepted
    return { log: body("installed")[1], slots: [...accepted.keys()] }
  }
  /** A crash: all that was not durable, and what is on the way, is gone. */
  crash(id: number, recordsLost = 0): void {
    this.part(id)
    const log = this.logs.get(id)!
    this.logs.set(id, log.slice(0, log.length - recordsLost))
    this.boot(id)
  }
}

/**
 * Nodes 1 and 3 alone accepted "a" in slot 1 and "b" in slot 2. Then node 3, which heard of no
 * decision, was away while 3 and 4 were decided.
 */
const laggard = (): Group => {
  const group = new Group()
  group.lead(1, 1)
  group.settle()
  group.lost = (to, message) =>
    (to === 3 && is(message, "learn")) || (to === 2 && is(message, "accept") && message.index <= 2)
  group.put(1, 1, 1, "a")
  group.put(1, 1, 2, "b")
  group.settle()
  group.part(3)
  group.put(1, 1, 3, "c")
  group.put(1, 1, 4, "d")
  group.settle()
  return group
}

describe("told behind, not yet installed: a laggard that holds accepted values", () => {
  it("keeps them until the state it fetches is durable", () => {
    const group = laggard()
    group.told(3)
    expect(group.kept(3).slots).toEqual([1, 2])
    // Before any state comes node 1 is gone, and node 2, which accepted neither, takes over.
    group.part(1)
    group.crash(2)
    expect(group.kept(2)).toEqual({ log: ["a", "b", "c", "d"], slots: [3, 4] })
    group.lost = (to, message) => to === 3 && is(message, "state")
    group.link(2, 3)
    group.lead(2, 5)
    group.settle()
    expect(group.kept(3)).toEqual({ log: ["a", "b", "c", "d"], slots: [1, 2, 3, 4] })
    expect(group.outputs.some(({ output }) => output.kind === "halt")).toBe(false)
  })

  it("is as it was after a crash before that state is durable", () => {
    const group = laggard()
    group.join(3)
    group.told(3)
    const before = group.logs.get(3)!.length
    group.settle()
    const installing = group.logs
      .get(3)!
      .findIndex(({ entries }) => entries.some(({ kind }) => kind === "installed"))
    expect(installing).toBeGreaterThanOrEqual(before)
    // State, floor and what is forgotten below it are one record: all of it, or nothing.
    const kinds = group.logs.get(3)![installing]!.entries.map(({ kind }) => kind)
    expect(kinds).toEqual(expect.arrayContaining(["installed", "stored", "floor"]))
    expect(group.kept(3)).toMatchObject({ log: ["a", "b", "c", "d"], slots: [] })

    group.crash(3, group.logs.get(3)!.length - installing)
    expect(group.kept(3)).toEqual({ log: [], slots: [1, 2, 3, 4] })
    group.join(3)
    group.settle()
    expect(group.kept(3)).toMatchObject({ log: ["a", "b", "c", "d"], slots: [] })
  })
})

describe("executed then forgotten: an executed operation", () => {
  it("survives a view change after the nodes that executed it restarted", () => {
    const group = new Group()
    group.part(3)
    group.lead(1, 1)
    group.settle()
    group.put(1, 1, 1, "a")
    group.settle()
    for (const id of [1, 2]) expect(group.kept(id).log).toEqual(["a"])
    for (const id of [1, 2]) group.crash(id)
    for (const id of [1, 2]) expect(group.kept(id).log).toEqual(["a"])

    // Node 1 stays away; node 3 knows nothing and leads with what it wants itself.
    group.part(1)
    group.link(2, 3)
    group.lead(3, 7)
    group.settle()
    for (const id of [2, 3]) expect(group.kept(id).log).toEqual(["a"])
    group.put(3, 7, 2, "b")
    group.settle()
    for (const id of [2, 3]) expect(group.kept(id).log).toEqual(["a", "b"])
    group.join(1)
    group.settle()
    expect(group.kept(1).log).toEqual(["a", "b"])
  })
})
