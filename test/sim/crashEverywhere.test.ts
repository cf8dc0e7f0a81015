/** A node dies at every step there is: here an eleventh of them, all with `npm run sim:crashes`. */
import { describe, expect, it } from "vitest"
import { recordMarks } from "../../src/base/mark.ts"
import type { NodeId } from "../../src/base/NodeId.ts"
import { methodId } from "../../src/server/Message.ts"
import type { ProtocolSpec } from "../../src/server/Protocol.ts"
import { crashAt, crashPoints, type SimulationRun, simulate } from "../../src/testing/index.ts"
import { calmOf } from "../../tools/protocols.ts"
import { SCENARIOS } from "../../tools/scenarios.ts"
import { forgetting } from "./support.ts"

/** For machines that others share. */
const SLOW = { timeout: 120_000 }

describe.each(Object.entries(SCENARIOS))("in %s", (_, scenario) => {
  // Others with each seed, and a second death soon after the first.
  it.each([
    [1, 11],
    [2, 29]
  ])("a death at any point hurts nobody: seed %i, every %i", SLOW, (seed, every) => {
    const options = scenario(seed)
    const { nodes, durable = true, promises } = options
    const points = crashPoints(options)
    for (const what of ["step", "disk"] as const) {
      const dying = new Set(points.filter((p) => p.what === what).map(({ node }) => node))
      expect(dying.size).toBe(what === "disk" && !durable ? 0 : nodes)
    }
    const tried = points.filter((_, i) => i % every === seed)
    expect(tried.length).toBeGreaterThan(10)
    for (const point of tried) {
      const run = crashAt(options, point, seed - 1)
      expect(run.failure, JSON.stringify(point)).toBeUndefined()
      const calls = options.clients! * options.callsPerClient!
      if (promises.totality) expect(run.checkers.answered).toBe(calls)
      // It may have died at the very end: then the run was over before it was started again.
      const died = run.hosts.filter((host) => host.boots > 1 || !host.alive)
      expect(
        died.map(({ node }) => node),
        JSON.stringify(point)
      ).toContain(point.node)
    }
  })
})

describe("a scenario shows what it is for", () => {
  const marksOf = (name: string) => {
    let run: SimulationRun | undefined
    const marks = recordMarks(() => void (run = simulate(SCENARIOS[name]!(1))))
    return { run: run!, marks }
  }
  it("logs are cut, and read back from where they were cut", SLOW, () => {
    for (const name of ["checkpoints of reliable-broadcast", "checkpoints of paxos"]) {
      const options = SCENARIOS[name]!(1)
      expect(marksOf(name).marks.get("host: checkpoint"), name).toBeGreaterThan(2)
      const last = crashPoints(options)
        .filter(({ what }) => what === "step")
        .at(-30)!
      const marks = recordMarks(() => void crashAt(options, last))
      expect(marks.get("engine: began with a checkpoint"), name).toBe(1)
    }
  })

  it("sessions are evicted, another node leads, states are handed over, words are parked", () => {
    expect(marksOf("evictions").run.checkers.evictions).toBeGreaterThan(3)
    const speakers = (name: string, method: string): ReadonlyArray<NodeId> => {
      const { hosts, checkers } = marksOf(name).run
      const said = (node: NodeId) => checkers.words.saidBy(node) ?? []
      const spoke = (node: NodeId) => said(node).some((word) => word.method === methodId(method))
      return hosts.map(({ node }) => node).filter(spoke)
    }
    const prepared = speakers("leader change", "counter.v1.Counter/Prepare")
    expect(prepared.filter((node) => node !== 1)).not.toEqual([])
    // Node 2 falls behind as well, while it is away.
    expect(speakers("state transfer", "paxos.v1.KeyValue/Fetch")).toEqual([2, 3])
    expect(speakers("state transfer", "paxos.v1.KeyValue/Install")).toContain(1)
    const { hosts } = marksOf("large state").run
    expect(hosts[2]!.core!.fetches.counters.chunks).toBeGreaterThan(10)
    for (const i of [0, 1]) expect(hosts[i]!.core!.fetches.counters.given).toBeGreaterThan(3)
    let parked = 0
    simulate({ ...SCENARIOS["meet"]!(1), decorate: { spec: counting(() => parked++) } })
    expect(parked).toBeGreaterThan(2)
  })
})

const counting =
  (parks: () => void) =>
  (spec: ProtocolSpec): ProtocolSpec => ({
    ...spec,
    methods: spec.methods.map((method) => {
      if (typeof method.handler === "function") return method
      const { each } = method.handler
      const over = (context: unknown): unknown => {
        const step = each!(context)
        if ((step as { kind?: string }).kind === "park") parks()
        return step
      }
      return { ...method, handler: { ...method.handler, each: over } }
    })
  })

it("finds a node that forgets its words, where a random schedule needs luck", SLOW, () => {
  const options = { ...calmOf("reliable-broadcast", 1), decorate: forgetting("word") }
  const points = crashPoints(options).filter((_, i) => i % 4 === 0)
  const found = points.filter((point) => crashAt(options, point).failure)
  expect(found.length).toBeGreaterThan(10)
})

it("a crash point is the same in each run", () => {
  const options = calmOf("counter", 1)
  const points = crashPoints(options)
  expect(crashPoints(options)).toEqual(points)
  const point = points.at(-1)!
  expect(crashAt(options, point).hash).toBe(crashAt(options, point).hash)
})
