/** Random schedules of calls, deliveries, cuts and restarts over tiny limits; then links stay. */
import { describe, expect, it } from "vitest"
import type { Limits } from "../src/base/limits.ts"
import { Prng } from "../src/base/prng.ts"
import type { PeerMessage } from "../src/server/Message.ts"
import type { ProtocolSpec } from "../src/server/Protocol.ts"
import { counterOf } from "./support/counter.ts"
import { bracha, Nodes, request } from "./support/engines.ts"

interface World {
  readonly protocol: ProtocolSpec
  readonly nodes: number
  readonly model: "crash" | "byzantine"
  readonly limits: Partial<Limits>
  readonly method: readonly [protocol: string, method: string]
  readonly calls: number
  /** Nodes that the client reaches; the others hear of its calls from them. */
  readonly reached: number
  readonly steps: number
}

class Schedule {
  readonly random: Prng
  readonly nodes: Nodes
  readonly up = new Set<string>()
  private next = 1
  private readonly world: World
  /** Per pair: whether words may come, after its resume. */
  readonly resumed = new Map<string, boolean>()

  constructor(world: World, seed: number) {
    this.world = world
    this.random = new Prng(seed)
    this.nodes = new Nodes(world.protocol, world.nodes, world.model, world.limits)
    for (const [a, b] of this.pairs()) this.up.add(`${a} ${b}`)
  }

  pairs(): Array<[number, number]> {
    const { ids } = this.nodes
    return ids.flatMap((a) => ids.filter((b) => a < b).map((b): [number, number] => [a, b]))
  }

  /** The calls that took effect at a node, once each. */
  finals(id: number): ReadonlyArray<number> {
    const done = new Set<number>()
    for (const entry of this.nodes.logs.get(id)!.flatMap((r) => r.entries)) {
      if (entry.kind === "final") {
        if (done.has(entry.index)) throw new Error(`node ${id} answered ${entry.index} twice`)
        done.add(entry.index)
      }
      if (entry.kind === "decided") for (const item of entry.items) done.add(item.call!.index)
    }
    return [...done].sort((x, y) => x - y)
  }

  cut(a: number, b: number): void {
    if (!this.up.delete(`${a} ${b}`)) return
    this.nodes.cut(a, b)
    for (const pair of [`${a}>${b}`, `${b}>${a}`]) this.resumed.delete(pair)
  }
  link(a: number, b: number): void {
    if (this.up.has(`${a} ${b}`)) return
    this.up.add(`${a} ${b}`)
    this.nodes.link(a, b)
  }
  restart(id: number): void {
    for (const [a, b] of this.pairs()) if (a === id || b === id) this.cut(a, b)
    this.nodes.boot(id)
  }

  call(index: number): void {
    for (const id of this.nodes.ids.slice(0, this.world.reached)) {
      const more = { index, ackedBelow: Math.min(index, this.acked()) }
      this.nodes.call(id, request(...this.world.method, { text: `m${index}`, by: index }, more))
    }
  }

  /** The client goes on with the answers of all but the one faulty node there may be. */
  private acked(): number {
    let acked = 1
    while (this.nodes.ids.filter((id) => this.finals(id).includes(acked)).length >= this.most)
      acked++
    return acked
  }
  private get most(): number {
    return this.world.nodes - 1
  }
  everywhere(index: number): boolean {
    return this.nodes.ids.every((id) => this.finals(id).includes(index))
  }

  /** It may call: its window has room, and no node is so far behind that it loses calls. */
  private mayCall(): boolean {
    const window = this.world.limits.windowCalls!
    const acked = this.acked()
    let low = 1
    while (low < acked && this.everywhere(low)) low++
    return this.next <= this.world.calls && this.next < acked + window && low > acked - window
  }

  deliver(pair: string, queue: Array<PeerMessage>): void {
    const message = queue.shift()
    if (message === undefined) return
    const [from, to] = pair.split(">").map(Number) as [number, number]
    if (message.kind === "resume") this.resumed.set(pair, true)
    if (message.kind === "word" && !this.resumed.get(pair)) throw new Error("a word before resume")
    this.nodes.input(to, { kind: "message", from, message })
  }

  step(): void {
    const { random, nodes } = this
    const [a, b] = random.pick(this.pairs())
    switch (random.below(20)) {
      case 0:
        return random.chance(400) ? this.cut(a, b) : undefined
      case 1:
      case 2:
        return this.link(a, b)
      case 3:
        return random.chance(60) ? this.restart(random.pick(nodes.ids)) : undefined
      case 4:
      case 5:
        return nodes.input(random.pick(nodes.ids), { kind: "tick" })
      case 6:
        return nodes.input(random.pick(nodes.ids), { kind: "turnEnd" })
      case 7:
        return this.mayCall() ? this.call(this.next++) : undefined
      default: {
        const open = [...nodes.queues].filter(([, queue]) => queue.length > 0)
        if (open.length > 0) this.deliver(...random.pick(open))
      }
    }
  }

  /** Links come back and stay, and the client tries again: every call is answered everywhere. */
  heal(): string | undefined {
    const { nodes, world } = this
    for (const [a, b] of this.pairs()) this.link(a, b)
    for (let round = 0; round < 4 * world.calls; round++) {
      for (let index = 1; index < this.next; index++) if (!this.everywhere(index)) this.call(index)
      this.settle()
      if (this.mayCall()) this.call(this.next++)
    }
    this.settle()
    const all = Array.from({ length: world.calls }, (_, i) => i + 1)
    for (const id of nodes.ids) {
      const finals = this.finals(id)
      if (String(finals) !== String(all)) return `node ${id} answered ${finals}`
      const size = nodes.engines.get(id)!.size()
      if (size["tail"] !== 0) return `node ${id} keeps a tail of ${size["tail"]}`
      if (size["early"] !== 0) return `node ${id} keeps ${size["early"]} early votes`
    }
    return undefined
  }

  private settle(): void {
    const { nodes } = this
    for (let moves = 0, idle = 0; idle < 4; moves++) {
      if (moves > 10_000) throw new Error("it never comes to rest")
      let moved = false
      for (const id of nodes.ids) nodes.input(id, { kind: "tick" })
      for (const [pair, queue] of nodes.queues) {
        while (queue.length > 0) {
          moved ||= queue[0]!.kind !== "taken"
          this.deliver(pair, queue)
        }
      }
      idle = moved ? 0 : idle + 1
    }
  }
}

const failure = (world: World, seed: number): string | undefined => {
  const schedule = new Schedule(world, seed)
  try {
    for (let step = 0; step < world.steps; step++) schedule.step()
    const stalled = schedule.heal()
    return stalled && `seed ${seed}: ${stalled}`
  } catch (thrown) {
    return `seed ${seed}: ${(thrown as Error).stack}`
  }
}

const tiny: World = {
  protocol: bracha,
  method: ["rb", "broadcast"],
  nodes: 4,
  model: "byzantine",
  limits: { windowCalls: 2, earlyVotesMax: 2, cursorBytesMax: 1 },
  calls: 8,
  reached: 4,
  steps: 600
}
const slots: World = {
  protocol: counterOf(2),
  method: ["ctr", "add"],
  nodes: 3,
  model: "crash",
  limits: { windowCalls: 16, earlyVotesMax: 16, cursorBytesMax: 400 },
  calls: 12,
  reached: 1,
  steps: 600
}
const worlds: ReadonlyArray<readonly [name: string, world: World]> = [
  ["the smallest limits", tiny],
  ["a window of four", { ...tiny, limits: { ...tiny.limits, windowCalls: 4 }, calls: 12 }],
  ["one node the client never reaches", { ...tiny, reached: 3 }],
  ["few tracked words", { ...tiny, limits: { ...tiny.limits, unfinishedMax: 3 } }],
  ["a lane of the protocol's own", slots],
  [
    "such a lane and few words on the way",
    { ...slots, limits: { ...slots.limits, cursorBytesMax: 1 } }
  ],
  ["room on the way", { ...tiny, limits: { ...tiny.limits, cursorBytesMax: 400 } }]
]

describe("P5: what correct nodes say reaches all, as long as links come back", () => {
  const seeds = Number(process.env["SEEDS"] ?? 25)
  it.each(worlds)("%s", (_, world) => {
    const failures: Array<string> = []
    for (let seed = 1; seed <= seeds; seed++) {
      const failed = failure(world, seed)
      if (failed !== undefined) failures.push(failed)
    }
    expect(failures).toEqual([])
  })
})
