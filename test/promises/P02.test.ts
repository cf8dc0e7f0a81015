/**
 * P2: `from` is authenticated by the link, `author` by its signature or by being `from`. A claimed
 * id is never trusted: what liars say in another's name counts for nobody.
 */
import { describe, expect, it } from "vitest"
import { Bracha } from "../../examples/reliable-broadcast/bracha.ts"
import type { Engine } from "../../src/server/engine.ts"
import type { LogEntry } from "../../src/server/LogRecord.ts"
import type { MethodSpec, ProtocolSpec } from "../../src/server/Protocol.ts"
import { choicesOf, type SimulateOptions, simulate } from "../../src/testing/index.ts"
import { methodId } from "../../src/server/Message.ts"
import { laneBytes } from "../../src/server/laneKey.ts"
import { proving } from "../support/proving.ts"
import { bracha, Nodes, request } from "../support/engines.ts"
import { seedsOf, SLOW } from "../support/seeds.ts"
import { echo, hear, logged } from "../support/tries.ts"
import { stepping } from "../sim/support.ts"

const SEEDS = seedsOf(20)

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

/** What each node has said, and what correct nodes counted as whose. */
class Watch {
  /** Also what a crash took from a node that alone had heard it. */
  readonly said = new Set<string>()
  readonly counted: Array<{
    readonly key: string
    readonly author: number
    readonly body: string
  }> = []

  engine(engine: Engine, node: number) {
    const note = (entry: LogEntry): void => {
      if (entry.kind !== "word") return
      const { lane, index, method, round } = entry
      const key = `${hex(laneBytes(lane))}/${index} ${method} ${round}`
      this.said.add(`${node} ${key} ${hex(entry.body)}`)
    }
    return stepping((step) => (input) => {
      const outputs = step(input)
      for (const it of outputs) if (it.kind === "store") it.record.entries.forEach(note)
      return outputs
    })(engine, node)
  }

  /** Notes every vote that a handler is shown. */
  over(spec: ProtocolSpec): ProtocolSpec {
    const watched = (method: MethodSpec): MethodSpec => {
      if (method.call !== "phase") return method
      const see = (it: any): void => {
        const { session, index } = it.call
        const id = methodId(method.fullName)
        const key = `${hex(session)}/${index} ${id} ${it.round}`
        const votes = it.votes?.all ?? [{ from: it.author, message: it.message }]
        for (const { from, message } of votes) {
          this.counted.push({ key, author: from, body: hex(method.input.encode(message)) })
        }
      }
      const { handler } = method
      const seeing =
        (run: (it: any) => unknown) =>
        (it: any): unknown => {
          see(it)
          return run(it)
        }
      return {
        ...method,
        handler:
          typeof handler === "function"
            ? seeing(handler)
            : { ...handler, quorum: seeing(handler.quorum!) }
      }
    }
    return { ...spec, methods: spec.methods.map(watched) }
  }

  /** Votes of correct authors that these never said. */
  inventedFor(correct: ReadonlyArray<number>): ReadonlyArray<string> {
    return this.counted
      .filter(({ author }) => correct.includes(author))
      .filter(({ key, author, body }) => !this.said.has(`${author} ${key} ${body}`))
      .map(({ key, author }) => `${author} ${key}`)
  }
}

const tried = (options: Omit<SimulateOptions, "seed">) => {
  let [votes, forged, relayed] = [0, 0, 0]
  for (let seed = 1; seed <= SEEDS; seed++) {
    const watch = new Watch()
    const engines: Array<Engine> = []
    const run = simulate({
      ...options,
      seed,
      decorate: {
        spec: (spec, node) => (node === 0 ? spec : watch.over(spec)),
        engine: (engine, node) => {
          engines.push(engine)
          return watch.engine(engine, node)
        }
      }
    })
    expect(run.failure, `seed ${seed}`).toBeUndefined()
    expect(watch.inventedFor(run.correct), `seed ${seed}`).toEqual([])
    votes += watch.counted.length
    for (const { counters } of engines) {
      forged += (counters["bad_signature"] ?? 0) + (counters["unsigned_author"] ?? 0)
      relayed += counters["relayed_dropped"] ?? 0
    }
  }
  return { votes, forged, relayed }
}

const base = { nodes: 4, byzantine: 1, model: "byzantine", faults: "all", crash: true } as const
const promises = { totality: false, quorums: false }

describe("P2", () => {
  it("under signatures nothing counts that its author did not say", SLOW, () => {
    const { spec } = proving()
    const choices = choicesOf(spec, { submit: [{ text: "a" }, { text: "b" }] })
    const { votes, forged } = tried({ ...base, spec, choices, promises })
    expect(votes).toBeGreaterThan(1000)
    expect(forged).toBeGreaterThan(100)
  })

  it("a word in another's name is nobody's, where no phase is signed", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    nodes.call(1, request("rb", "broadcast", { text: "a" }))
    // Three echoes of "a" would make node 1 ready: its own is there, and these are none.
    for (const author of [2, 3, 4]) hear(nodes, 1, 2, echo(author, { author, round: 0 }))
    const { counters } = nodes.engines.get(1)!
    expect(counters["unsigned_author"]).toBe(2)
    expect(logged(nodes, 1, "word").map(({ method }) => method)).toEqual([methodId("rb/echo")])
  })

  it("without signatures an author is who sent it", SLOW, () => {
    const { spec } = Bracha
    const choices = choicesOf(spec, { broadcast: [{ text: "a" }, { text: "b" }] })
    expect(tried({ ...base, spec, choices, promises }).votes).toBeGreaterThan(1000)
  })
})
