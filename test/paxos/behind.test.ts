/** A replica that the others have left behind fetches the state, and goes on from there. */
import { describe, expect, it } from "vitest"
import { Paxos } from "../../apps/paxos/protocol.ts"
import { bytesEqual } from "../../src/base/bytes.ts"
import type { Limits } from "../../src/base/limits.ts"
import { methodId, type Request } from "../../src/server/Message.ts"
import { Nodes, request } from "../support/engines.ts"

const { spec } = Paxos
const submitted = spec.methods.find(({ name }) => name === "submit")!

/** The client's call `index`: writes it under "k". */
const put = (index: number): Request => ({
  ...request("", "", {}),
  index,
  method: methodId(submitted.fullName),
  body: submitted.input.encode({
    command: { case: "put", value: { key: "k", value: `${index}` } }
  })
})

class Group extends Nodes {
  /** By node: what its peers said of slots up to this one never comes, as if their log was cut. */
  readonly lost = new Map<number, number>()
  private calls = 0

  constructor(n: number, limits: Partial<Limits> = {}) {
    super(spec, n, "crash", limits)
  }
  override input(id: number, input: Parameters<Nodes["input"]>[1]): void {
    if (input.kind === "message" && input.message.kind === "word") {
      const { lane, index } = input.message
      if (lane === "slots" && index <= (this.lost?.get(id) ?? 0)) return
    }
    super.input(id, input)
  }
  put(count: number): void {
    for (let left = count; left > 0; left--) {
      this.call(1, put(++this.calls))
      this.settle()
    }
  }
  away(id: number): void {
    for (const other of this.ids) if (other !== id) this.cut(other, id)
  }
  back(id: number): void {
    for (const other of this.ids) if (other !== id) this.link(other, id)
    this.settle()
  }
  told(id: number): void {
    const own = Math.max(...this.ids.map((other) => this.lane(other).own))
    this.engines.get(id)!.hooks.ofLane("behind", "slots", { own })
    this.input(id, { kind: "turnEnd" })
  }
  later(): void {
    this.atMs += 1_000
    this.settle()
  }
  /** What the node asks its host to fetch now, is fetched from who offers it. */
  fetched(id: number, result?: string): void {
    const fetch = this.outputs.findLast((o) => o.from === id && o.output.kind === "fetch")?.output
    if (fetch?.kind !== "fetch") throw new Error("nothing is fetched")
    const { protocol, digest, from } = fetch
    const blobs = this.outputs.flatMap(({ from: by, output }) =>
      output.kind === "offer" && from.includes(by) ? [output.blob] : []
    )
    const blob = blobs.find((offered) => bytesEqual(offered.digest, digest))!
    this.input(id, { kind: "fetched", protocol, digest, result: result ?? blob.bytes })
    this.settle()
  }
  lane(id: number) {
    const method = [...(this.engines.get(id) as any).core.handlers.protocols.values()][0]
    return method.lanes.slots as { readonly own: number; readonly applied: number }
  }
}

describe("a replica that is told that it is behind", () => {
  it("installs the leader's state, durably, and takes part again", () => {
    const group = new Group(3)
    group.put(2)
    group.lost.set(3, 42)
    group.put(40)
    expect(group.lane(3).applied).toBe(2)
    group.told(3)
    group.settle()
    expect(group.lane(3)).toMatchObject({ applied: 42, own: 43 })
    group.boot(3)
    expect(group.lane(3)).toMatchObject({ applied: 42, own: 43 })
    group.back(3)
    for (const id of [1, 3]) group.cut(id, 2)
    group.put(3)
    expect(group.lane(3).applied).toBe(45)
    expect(group.answers().filter((answer) => answer.startsWith("1:"))).toHaveLength(45)
  })

  it("asks again until somebody has the state, also after a restart", () => {
    const group = new Group(3)
    group.lost.set(3, 5)
    group.put(5)
    group.away(3)
    group.told(3)
    for (let i = 0; i < 3; i++) group.later()
    group.boot(3)
    group.later()
    expect(group.lane(3).applied).toBe(0)
    group.back(3)
    group.later()
    expect(group.lane(3).applied).toBe(5)
  })

  it("is answered by the others where it is the leader, which then leads again", () => {
    const group = new Group(3)
    group.lost.set(1, 7)
    group.put(7)
    expect(group.lane(2).applied).toBe(7)
    group.told(1)
    group.settle()
    expect(group.lane(1).applied).toBe(7)
    group.put(1)
    for (const id of group.ids) expect(group.lane(id).applied).toBe(8)
  })

  it("two of five fetch the same state, one after the other", () => {
    const group = new Group(5)
    for (const id of [4, 5]) group.lost.set(id, 6)
    group.put(6)
    for (const id of [5, 4]) {
      group.told(id)
      group.settle()
      expect(group.lane(id).applied).toBe(6)
    }
    expect(group.engines.get(2)!.counters["install_old"]).toBeUndefined()
  })

  describe("by a state that fits no message", () => {
    const group = (): Group => {
      const limits = { bodyBytesMax: 500, batchBytesMax: 2048, batchBytesTarget: 512 }
      const all = new Group(3, limits)
      all.lost.set(3, 42)
      all.put(42)
      all.told(3)
      all.settle()
      return all
    }
    const asks = (all: Group): number => {
      const words = all.logs.get(3)!.flatMap(({ entries }) => entries)
      const fetch = methodId(spec.methods.find(({ name }) => name === "fetch")!.fullName)
      return words.filter((entry) => entry.kind === "word" && entry.method === fetch).length
    }

    it("fetches it from all that offer it, and asks for no other meanwhile", () => {
      const all = group()
      const from = all.outputs.flatMap(({ output }) => (output.kind === "fetch" ? output.from : []))
      expect(from).toEqual([1, 2])
      for (let i = 0; i < 5; i++) all.later()
      expect(asks(all)).toBe(1)
      all.fetched(3)
      expect(all.lane(3)).toMatchObject({ applied: 42, own: 43 })
      all.boot(3)
      expect(all.lane(3)).toMatchObject({ applied: 42, own: 43 })
    })

    it("asks again where nobody has it any more, and after a restart", () => {
      const all = group()
      all.fetched(3, "nobody is left to ask")
      all.later()
      expect(asks(all)).toBe(2)
      all.boot(3)
      for (const other of [1, 2]) all.link(other, 3)
      all.later()
      expect(asks(all)).toBe(3)
      all.fetched(3)
      expect(all.lane(3).applied).toBe(42)
    })
  })
})
