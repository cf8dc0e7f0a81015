/**
 * The engine alone, in this process: what one message costs from inbox to directive, without
 * codecs, links and disks. One node of a Byzantine group runs reliable broadcasts; the words of the
 * other members are made here, untimed.
 */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { LIMITS } from "../src/base/limits.ts"
import { makeSystem, type System } from "../src/quorum/QuorumSystem.ts"
import { Engine } from "../src/server/engine.ts"
import type { Input } from "../src/server/Input.ts"
import { sessionKey } from "../src/server/laneKey.ts"
import { methodId, type PeerMessage, type Request, type Word } from "../src/server/Message.ts"
import type { Codec, HandlerFunction, MethodSpec, ProtocolSpec } from "../src/server/Protocol.ts"
import type { LocalBench, Measured, Settings } from "./Bench.ts"
import { latenciesOf, makeHistogram } from "./load.ts"
import { usageNow } from "./usage.ts"

const NODES_MIN = 4
const SELF = 1
const AT_MS = 1_000_000
/** Words after which a link hands a batch on, and the host ends a turn. */
const TURN_MESSAGES = 64
/** Open instances whose memory is measured. */
const INSTANCES = 8192

export const engine: LocalBench = {
  kind: "local",
  about:
    "the pure engine in this process: an operation is one message, so nsPerMessage is 10^9 by " +
    "op/s; memory per open instance",
  transports: ["link"],
  nodes: NODES_MIN,
  inflight: 64,
  payloadBytes: 16,
  run: (settings) => Promise.resolve(run(settings))
}

const codec: Codec = {
  decode: (body) => ({ body }),
  encode: (message) => (message as { readonly body: Uint8Array }).body
}
const method = (
  name: string,
  handler: HandlerFunction,
  forwards: ReadonlyArray<string>
): MethodSpec => ({
  name,
  fullName: `rb/${name}`,
  call: name === "broadcast" ? "multiparty" : "phase",
  input: codec,
  output: codec,
  forwards,
  replies: name === "broadcast" ? [] : ["broadcast"],
  handler: name === "broadcast" ? handler : { quorum: handler }
})
/** @source Bracha, Asynchronous Byzantine agreement protocols, 1987 */
const protocol: ProtocolSpec = {
  name: "rb",
  methods: [
    method("broadcast", ({ message, forward }) => forward.echo(message), ["echo"]),
    method(
      "echo",
      ({ votes, system, forward, wait }) =>
        votes.agreed(system.quorum) ? forward.ready(votes.value) : wait,
      ["ready"]
    ),
    method(
      "ready",
      ({ votes, system, forward, reply, wait }) =>
        votes.agreed(system.quorum)
          ? reply(votes.value)
          : votes.agreed(system.oneHonest)
            ? forward.ready(votes.value)
            : wait,
      ["ready"]
    )
  ]
}
const [BROADCAST, ECHO, READY] = protocol.methods.map((m) => methodId(m.fullName)) as [
  number,
  number,
  number
]

/** One node, and the words of all others in the order of their positions. */
class Group {
  readonly engine: Engine
  readonly system: System
  private readonly body: Uint8Array
  private readonly peers: ReadonlyArray<number>
  private readonly positions: Array<number>
  private session = ""
  private sessions = 0
  private index = 0

  constructor({ nodes, payloadBytes }: Settings) {
    const members = Array.from({ length: Math.max(nodes, NODES_MIN) }, (_, i) => i + 1)
    this.system = makeSystem(members, "byzantine")
    this.peers = members.slice(1)
    this.positions = members.map(() => 0)
    this.body = new Uint8Array(payloadBytes).fill(1)
    this.engine = new Engine({
      self: SELF,
      system: this.system,
      protocols: [protocol],
      limits: LIMITS,
      isEffect: () => false
    })
    this.engine.step({ kind: "booted", atMs: AT_MS, horizonMs: 0 })
    for (const peer of this.peers) {
      this.engine.step({ kind: "peerUp", atMs: AT_MS, peer, storeId: `${peer}` })
      this.engine.step(this.from(peer, { kind: "want", position: 0 }))
    }
    this.openSession()
  }

  openSession(): void {
    this.session = sessionKey(AT_MS, new Uint8Array(16).fill(++this.sessions))
    this.index = 0
  }

  /** The messages of `count` broadcasts that run at once, each phase after the other. */
  broadcasts(count: number, phases: ReadonlyArray<readonly [id: number, authors: number]>) {
    const first = this.index + 1
    this.index += count
    const indexes = Array.from({ length: count }, (_, i) => first + i)
    const requests = indexes.map((index) => this.request(index, first))
    const words = phases.flatMap(([id, authors]) =>
      this.peers
        .slice(0, authors)
        .flatMap((peer) =>
          indexes.map((index) => this.from(peer, this.word(peer, id, index, first)))
        )
    )
    return [...requests, ...words]
  }

  /** All others have finished with what this node said. */
  taken(words: number): ReadonlyArray<Input> {
    return this.peers.map((peer) => this.from(peer, { kind: "taken", taken: words, done: words }))
  }

  private from(from: number, message: PeerMessage): Input {
    return { kind: "message", atMs: AT_MS, from, message }
  }
  private request(index: number, ackedBelow: number): Input {
    const request: Request = {
      kind: "request",
      session: this.session,
      index,
      ackedBelow,
      method: BROADCAST,
      deadlineMs: 5000,
      body: this.body.slice()
    }
    return { kind: "request", atMs: AT_MS, route: 1, request }
  }
  private word(peer: number, id: number, index: number, ackedBelow: number): Word {
    const position = ++this.positions[peer - 1]!
    const { session: lane, body } = this
    const word = { kind: "word", position, lane, index, round: 0, ackedBelow } as const
    return { ...word, method: id, body: body.slice() }
  }
}

const run = (settings: Settings): Measured => {
  if (settings.nodes < NODES_MIN) {
    throw new Error(`engine needs --nodes ${NODES_MIN} or more: one of them may be faulty`)
  }
  const { inflight } = settings
  if (inflight > LIMITS.windowCalls) {
    throw new Error(`engine takes --inflight up to ${LIMITS.windowCalls}, the window of a session`)
  }
  const steps = new Steps(new Group(settings), inflight)
  steps.runFor(settings.warmupSeconds)
  steps.forget()
  steps.runFor(settings.seconds)
  const measured = steps.measured()
  return { ...measured, more: { ...measured.more, ...memory(settings) } }
}

class Steps {
  private readonly group: Group
  private readonly inflight: number
  private histogram = makeHistogram()
  private messages = 0
  private instances = 0
  private said = 0
  private missing = 0
  private elapsedNs = 0
  private cpuUs = 0

  constructor(group: Group, inflight: number) {
    this.group = group
    this.inflight = inflight
  }

  runFor(seconds: number): void {
    const endMs = performance.now() + seconds * 1000
    do this.block()
    while (performance.now() < endMs)
  }

  forget(): void {
    this.histogram = makeHistogram()
    this.messages = this.instances = this.elapsedNs = this.cpuUs = 0
  }

  measured(): Measured {
    const { messages, instances, histogram, elapsedNs, cpuUs, missing } = this
    return {
      operations: messages,
      errors: missing,
      elapsedUs: elapsedNs / 1000,
      ...latenciesOf(histogram),
      cpuUs: { client: 0, nodes: cpuUs },
      rssBytes: usageNow().rssBytes,
      more: { nsPerMessage: Math.round(elapsedNs / messages), instances }
    }
  }

  /** `inflight` broadcasts from request to reply; only the steps are timed. */
  private block(): void {
    const { group, inflight } = this
    const others = group.system.size - 1
    const inputs = group.broadcasts(inflight, [
      [ECHO, others],
      [READY, others]
    ])
    const taken = group.taken((this.said += 2 * inflight))
    const cpu = usageNow().cpuUs
    const startMs = performance.now()
    const replies = stepAll(group.engine, inputs)
    stepAll(group.engine, taken)
    const ns = (performance.now() - startMs) * 1e6
    this.cpuUs += usageNow().cpuUs - cpu
    this.elapsedNs += ns
    this.messages += inputs.length
    this.instances += inflight
    this.missing += inflight - replies
    this.histogram.recordValue(Math.round(ns / inputs.length))
  }
}

/** Steps through `inputs` as a host does, turn by turn. Returns the replies that came out. */
const stepAll = (stepped: Engine, inputs: ReadonlyArray<Input>): number => {
  let replies = 0
  let turn = 0
  for (const input of inputs) {
    for (const output of stepped.step(input)) if (output.kind === "reply") replies++
    if (++turn % TURN_MESSAGES === 0) stepped.step({ kind: "turnEnd", atMs: AT_MS })
  }
  stepped.step({ kind: "turnEnd", atMs: AT_MS })
  return replies
}

/** Heap of one open instance: its request, its own word, and echoes one short of a quorum. */
const memory = (settings: Settings): { readonly [name: string]: number } => {
  const group = new Group(settings)
  const authors = group.system.quorum.needed - 2
  const before = heapBytes()
  let instances = 0
  while (instances < INSTANCES) {
    stepAll(group.engine, group.broadcasts(LIMITS.windowCalls, [[ECHO, authors]]))
    instances += LIMITS.windowCalls
    group.openSession()
  }
  const bytes = heapBytes() - before
  if (group.engine.size()["instances"] !== instances) throw new Error("instances are not open")
  return { bytesPerInstance: Math.round(bytes / instances), votesPerInstance: authors + 1 }
}

const heapBytes = (): number => {
  setFlagsFromString("--expose-gc")
  const collect = runInNewContext("gc") as () => void
  collect()
  return process.memoryUsage().heapUsed
}
