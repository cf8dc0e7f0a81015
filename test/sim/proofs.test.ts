/**
 * Signed words that refer to what a node does not know yet, and requests that members relay: with
 * liars that refer to what does not exist, and alter or invent what they relay.
 */
import { describe, expect, it } from "vitest"
import type { Engine } from "../../src/server/engine.ts"
import { laneBytes } from "../../src/server/laneKey.ts"
import type { MethodSpec } from "../../src/server/Protocol.ts"
import { choicesOf, type Decorate, simulate } from "../../src/testing/index.ts"
import { causal } from "../support/causal.ts"
import { seedsOf, SLOW } from "../support/seeds.ts"
import { stepping } from "./support.ts"

const SEEDS = seedsOf(20)
/** Clients do not reach it: what it knows of calls it has from members. */
const CUT_OFF = 4

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

/** What clients asked, what correct nodes ran, and which words waited for others. */
class Watch {
  readonly asked = new Set<string>()
  readonly ran: Array<{ readonly node: number; readonly call: string }> = []
  readonly parked = new Set<string>()
  readonly woken = new Set<string>()
  private readonly verifies: boolean

  constructor(verifies: boolean) {
    this.verifies = verifies
  }

  readonly decorate: Decorate = {
    engine: (engine: Engine, node) =>
      stepping((step) => (input) => {
        if (input.kind !== "request") return step(input)
        const { session, index, body, forged } = input.request
        if (forged !== true) this.asked.add(`${hex(laneBytes(session))}/${index} ${hex(body)}`)
        return node === CUT_OFF ? [] : step(input)
      })(engine, node),
    spec: (spec, node, correct) => ({
      ...spec,
      methods: spec.methods.map((method) => (correct ? this.watched(method, node) : lying(method)))
    })
  }

  private watched(method: MethodSpec, node: number): MethodSpec {
    const { handler, proofs, ...rest } = method
    const spec = { ...rest, ...(this.verifies && proofs && { proofs }) }
    if (method.name === "submit") {
      const run = handler as (it: any) => unknown
      const noting = (it: any): unknown => {
        const { session, index } = it.call
        const call = `${hex(session)}/${index} ${hex(method.input.encode(it.message))}`
        this.ran.push({ node, call })
        return run(it)
      }
      return { ...spec, handler: noting as never }
    }
    if (method.name !== "propose") return { ...spec, handler }
    const { quorum, ...more } = handler as { quorum: (it: any) => any }
    const noting = (it: any): unknown => {
      const step = quorum(it)
      const name = `${node} ${hex(it.call.session)}/${it.call.index} ${it.votes.author}`
      const parks = [step].flat().some(({ kind }) => kind === "park")
      if (parks) this.parked.add(name)
      else if (this.parked.has(name)) this.woken.add(name)
      return step
    }
    return { ...spec, handler: { ...more, quorum: noting } as never }
  }

  /** What ran at correct nodes and no client asked for. */
  get invented(): ReadonlyArray<string> {
    return this.ran.flatMap(({ node, call }) => (this.asked.has(call) ? [] : [`${node}: ${call}`]))
  }
}

/** A member that names calls as finished that nobody made, or that are this call itself. */
const lying = (method: MethodSpec): MethodSpec => {
  if (method.name !== "submit") return method
  const handler = ({ proof, state, call, forward }: any): unknown => {
    const own = `${hex(call.session)}/${call.index}`
    const others = [own, `${hex(call.session)}/${call.index + 1}`, "ff".repeat(22), state.last]
    return forward.propose({ request: proof, after: others[call.index % others.length] })
  }
  return { ...method, handler: handler as never }
}

const OPTIONS = {
  spec: causal,
  // Long, so that a request in which a liar changed a byte is still one.
  choices: choicesOf(causal, { submit: ["a", "b", "c"].map((it) => ({ text: it.repeat(40) })) }),
  ...({ nodes: 4, byzantine: 1, model: "byzantine", faults: "all", crash: true } as const),
  // Below a window: no call is ever given up, so that what is referred to comes everywhere.
  callsPerClient: 4,
  // Room for what waits: of what is parked beyond it the handler is not run again.
  limits: { bodyBytesMax: 1024, cursorBytesMax: 16_384 },
  promises: { totality: true, quorums: true }
}
const tried = (seed: number, verifies = true) => {
  const watch = new Watch(verifies)
  const run = simulate({ ...OPTIONS, seed, decorate: watch.decorate })
  return { run, watch }
}

describe("in the simulator", () => {
  it("signed words wait for what they refer to, and requests come by way of liars", SLOW, () => {
    const seen = { parked: 0, woken: 0, relayed: 0, forged: 0 }
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { run, watch } = tried(seed)
      expect(run.failure, `seed ${seed}`).toBeUndefined()
      expect(watch.invented, `seed ${seed}`).toEqual([])
      seen.parked += watch.parked.size
      seen.woken += watch.woken.size
      seen.relayed += watch.ran.filter(({ node }) => node === CUT_OFF).length
      for (const { core } of run.hosts) seen.forged += core?.engine.counters["bad_signature"] ?? 0
    }
    // Some wait for what liars made up, and are never woken.
    expect(seen.woken).toBeGreaterThan(SEEDS)
    expect(seen.parked).toBeGreaterThan(seen.woken)
    expect(seen.relayed).toBeGreaterThan(2 * SEEDS)
    expect(seen.forged).toBeGreaterThan(2 * SEEDS)
  })

  it("a host that does not look into messages is found to run what nobody asked", SLOW, () => {
    const seeds = Array.from({ length: 5 * SEEDS }, (_, i) => i + 1)
    expect(seeds.some((seed) => tried(seed, false).watch.invented.length > 0)).toBe(true)
  })
})
