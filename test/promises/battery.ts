/**
 * The promises as one list of tests, whatever carries messages. A scenario is a group, its calls
 * and what goes wrong; a row says which promise it puts to the test, and how one sees that it did.
 * Whether it held the simulator's judges say, over every transport the same ones.
 */
import { Bracha } from "../../examples/reliable-broadcast/bracha.ts"
import { CounterNode } from "../../examples/counter/counter.ts"
import type { Prng } from "../../src/base/prng.ts"
import type { ProtocolSpec } from "../../src/server/Protocol.ts"
import { choicesOf } from "../../src/testing/index.ts"
import type { Drawn, Faults } from "../support/faultProxy.ts"
import type { RealTransport } from "../support/realGroup.ts"
import { type RealRun, type RealRunOptions, realRun, type Seen } from "../support/realRun.ts"
import { seedsOf } from "../support/seeds.ts"
import { simulatedRun } from "./simulatedRun.ts"

export type ScenarioName = "cuts" | "lanes" | "stuck" | "throws" | "bits"
/** What one run of a scenario is judged by, and what it met. */
export type Run = RealRun
export interface Transport {
  readonly name: string
  readonly seeds: ReadonlyArray<number>
  readonly run: (scenario: Scenario, seed: number) => Promise<Run>
}
export type Scenario = Omit<RealRunOptions, "transport" | "seed">

const CALLS = 120
const texts = Array.from({ length: CALLS }, (_, i) => ({ text: `text ${i}` }))
const amounts = Array.from({ length: CALLS }, (_, i) => ({ amount: i + 1 }))

/** A line as bad as any that still is one. */
const bad = (random: Prng): Faults => ({
  ...(random.chance(300) && { delayMs: random.below(5) }),
  ...(random.chance(200) && { bytesPerMs: 20 + random.below(500) }),
  ...(random.chance(300) && { resetAfter: random.below(20_000) }),
  ...(random.chance(60) && { swallowAfter: random.below(20_000) })
})
/** A bit of its beginning is another one, each way: of a greeting, a handshake or a call. */
const turned = (random: Prng): Drawn => ({
  up: { flipAt: random.below(1_500) },
  down: { flipAt: random.below(1_500) }
})
const both = (random: Prng): Drawn => ({ up: bad(random), down: bad(random) })

/** Reliable broadcast in which one node's handler throws for every tenth text. */
const throwing = (spec: ProtocolSpec): ProtocolSpec => ({
  ...spec,
  methods: spec.methods.map((method) => {
    const { handler } = method
    if (method.name !== "broadcast" || typeof handler !== "function") return method
    return {
      ...method,
      handler: (it: any) => {
        if (it.message.text.endsWith("7")) throw new Error("as planned")
        return handler(it)
      }
    }
  })
})

const RB = {
  spec: Bracha.spec,
  descriptor: Bracha.descriptor,
  nodes: 4,
  model: "byzantine",
  promises: { totality: true, quorums: true }
} as const
const broadcasts = choicesOf(Bracha.spec, { broadcast: texts })

export const SCENARIOS: { readonly [Name in ScenarioName]: Scenario } = {
  cuts: {
    ...RB,
    choices: broadcasts,
    faults: {
      // Node 1 hears of calls last: what others say of them comes before.
      draw: (random, { from, to }) =>
        from === "client" && to === "1" ? { up: { delayMs: 30 } } : both(random),
      disturbMs: 40,
      killMs: 400
    }
  },
  lanes: {
    spec: CounterNode.spec,
    descriptor: CounterNode.descriptor,
    nodes: 3,
    model: "crash",
    promises: { totality: false, quorums: false },
    choices: choicesOf(CounterNode.spec, { add: amounts }),
    faults: { draw: both, disturbMs: 100, killMs: 1_500 }
  },
  stuck: { ...RB, choices: broadcasts, faults: { stuck: 4 } },
  throws: {
    ...RB,
    choices: broadcasts,
    faults: { cancels: 150, throws: { node: 3, over: throwing } }
  },
  bits: {
    ...RB,
    choices: broadcasts,
    garbled: [4],
    faults: {
      draw: (random, { from, to }) =>
        from === "4" || (to === "4" && from !== "client") ? turned(random) : {}
    }
  }
}

export interface Row {
  readonly promise: string
  readonly scenario: ScenarioName
  /** Numbers that are above 0 where the promise was put to the test. */
  readonly tried: (seen: Seen) => ReadonlyArray<number>
}

export const BATTERY: ReadonlyArray<Row> = [
  {
    promise: "P1: a handler sees a message once, though links repeat it",
    scenario: "cuts",
    tried: ({ resumes, reconnects }) => [resumes, reconnects]
  },
  {
    promise: "P2: what a false line says in its member's name binds nobody else",
    scenario: "bits",
    tried: ({ answered, refused }) => [answered, refused]
  },
  {
    promise: "P3: votes that come before their call are its votes",
    scenario: "cuts",
    tried: ({ early }) => [early]
  },
  {
    promise: "P4: a node says one value, in all its lives",
    scenario: "cuts",
    tried: ({ boots, records }) => [boots - 4, records]
  },
  {
    promise: "P5: what was said reaches everybody, once links come back",
    scenario: "cuts",
    tried: ({ reconnects, answered }) => [reconnects - 10, answered]
  },
  {
    promise: "P6: words come in the order in which they were said, over all links",
    scenario: "cuts",
    tried: ({ resumes }) => [resumes - 12]
  },
  {
    promise: "P6: also in the lanes of a protocol, whoever leads",
    scenario: "lanes",
    tried: ({ resumes }) => [resumes - 6]
  },
  {
    promise: "P7: a call takes effect once, though clients repeat it and nodes die",
    scenario: "lanes",
    tried: ({ answered, boots }) => [answered, boots - 3]
  },
  {
    promise: "P8: no table is larger than its limit",
    scenario: "cuts",
    tried: ({ looks }) => [looks]
  },
  {
    promise: "P10: interrupted calls leave nothing at the client",
    scenario: "throws",
    tried: ({ cancelled }) => [cancelled]
  },
  {
    promise: "P11: nothing leaves before it is durable",
    scenario: "lanes",
    tried: ({ records, answered }) => [records, answered]
  },
  {
    promise: "P12: a handler that throws costs its call at its node, and nothing else",
    scenario: "throws",
    tried: ({ dropped, answered }) => [dropped["poisoned"] ?? 0, answered]
  },
  {
    promise: "P14: a member of which nothing comes holds up nobody",
    scenario: "stuck",
    tried: ({ answered }) => [answered]
  },
  {
    promise: "P15: turned bits cost their link, and nobody else anything",
    scenario: "bits",
    tried: ({ refused, answered }) => [refused, answered]
  }
]

const simulated: Transport = {
  name: "the simulator",
  seeds: Array.from({ length: seedsOf(8) }, (_, i) => i + 1),
  run: (scenario, seed) => Promise.resolve(simulatedRun(scenario, seed))
}

/**
 * Behind the handshake: what is refused within it is not proven to come from the node, and a client
 * takes it for its word all the same, so that a wrong group file is told at once.
 */
const turnedLater: typeof turned = (random) => ({
  up: { flipAt: 1_500 + random.below(1_500) },
  down: { flipAt: 1_500 + random.below(1_500) }
})

/** Where links are proven, no line's bits make a node a liar: they turn on all ways. */
const proven = (scenario: Scenario): Scenario =>
  scenario.garbled === undefined
    ? { ...scenario, links: "authenticated" }
    : { ...scenario, links: "authenticated", garbled: [], faults: { draw: turnedLater } }

const real = (
  name: string,
  transport: RealTransport,
  change = (scenario: Scenario): Scenario => scenario
): Transport => ({
  name,
  seeds: [1],
  run: (scenario, seed) => realRun({ ...change(scenario), transport, seed })
})

export const TRANSPORTS: ReadonlyArray<Transport> = [
  simulated,
  real("links on real sockets", "link"),
  real("proven links on real sockets", "link", proven),
  real("unary calls of clients on real sockets", "unary"),
  real("unary calls alone on real sockets", "unary alone")
]
