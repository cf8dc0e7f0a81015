/** Engines by hand: a protocol without protobuf, and a few nodes with one queue per pair. */
import { LIMITS, type Limits } from "../../src/base/limits.ts"
import type { NodeId } from "../../src/base/NodeId.ts"
import { makeSystem } from "../../src/quorum/QuorumSystem.ts"
import { Engine } from "../../src/server/engine.ts"
import type { Input } from "../../src/server/Input.ts"
import { laneOfBytes, sessionKey } from "../../src/server/laneKey.ts"
import type { LogRecord } from "../../src/server/LogRecord.ts"
import { methodId, type PeerMessage, type Reply, type Request } from "../../src/server/Message.ts"
import type { Output } from "../../src/server/Output.ts"
import type {
  AnyHandler,
  CallKind,
  Codec,
  ProtocolSpec,
  WorldSpec
} from "../../src/server/Protocol.ts"

/** Messages as JSON, bytes as latin1. */
export const json: Codec = {
  encode: (message) =>
    bytesOf(
      JSON.stringify(message, (_, v) =>
        v instanceof Uint8Array
          ? { hex: laneOfBytes(v) }
          : typeof v === "bigint"
            ? { big: String(v) }
            : v
      )
    ),
  decode: (bytes) =>
    JSON.parse(laneOfBytes(bytes), (_, v) => {
      if (typeof v?.big === "string") return BigInt(v.big)
      return typeof v?.hex === "string" ? bytesOf(v.hex) : v
    })
}
export const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0))

export interface Methods {
  readonly [name: string]: readonly [
    call: CallKind,
    handler: AnyHandler,
    options?: {
      readonly forwards?: ReadonlyArray<string>
      readonly replies?: ReadonlyArray<string>
    }
  ]
}

export const protocolOf = (name: string, methods: Methods, world?: WorldSpec): ProtocolSpec => {
  const phases = Object.keys(methods).filter((m) => methods[m]![0] === "phase")
  const calls = Object.keys(methods).filter((m) => methods[m]![0] === "multiparty")
  return {
    name,
    methods: Object.entries(methods).map(([method, [call, handler, options]]) => ({
      name: method,
      fullName: `${name}/${method}`,
      call,
      input: json,
      output: json,
      forwards: options?.forwards ?? (call === "multiparty" || call === "phase" ? phases : []),
      replies: options?.replies ?? (call === "phase" ? calls : []),
      handler
    })),
    ...(world && { world })
  }
}

/** Bracha's reliable broadcast. @source Bracha, Asynchronous Byzantine agreement protocols, 1987 */
export const bracha = protocolOf("rb", {
  broadcast: ["multiparty", ({ message, forward }) => forward.echo(message)],
  echo: [
    "phase",
    {
      agreeOn: (m) => m.text,
      quorum: ({ votes, system, forward, wait }) =>
        votes.agreed(system.quorum) ? forward.ready({ text: votes.value }) : wait
    }
  ],
  ready: [
    "phase",
    {
      agreeOn: (m) => m.text,
      quorum: ({ votes, system, forward, reply, wait }) =>
        votes.agreed(system.quorum)
          ? reply({ text: votes.value })
          : votes.agreed(system.oneHonest)
            ? forward.ready({ text: votes.value })
            : wait
    }
  ]
})

export const session = (n: number, openedMs = 1_000): string =>
  sessionKey(openedMs, new Uint8Array(16).fill(n))

export const request = (
  protocol: string,
  method: string,
  message: object,
  more: Partial<Request> = {}
): Request => ({
  kind: "request",
  session: session(1),
  index: 1,
  ackedBelow: 1,
  method: methodId(`${protocol}/${method}`),
  deadlineMs: 0,
  body: json.encode(message),
  ...more
})

type Unstamped<T> = T extends { readonly atMs: number } ? Omit<T, "atMs"> : T

/** Some nodes of one group; every message waits in its pair's queue until it is delivered. */
export class Nodes {
  readonly engines = new Map<NodeId, Engine>()
  readonly logs = new Map<NodeId, Array<LogRecord>>()
  readonly replies: Array<{
    readonly from: NodeId
    readonly route: number
    readonly reply: Reply
  }> = []
  readonly outputs: Array<{ readonly from: NodeId; readonly output: Output }> = []
  readonly queues = new Map<string, Array<PeerMessage>>()
  atMs = 2_000
  private readonly options: { protocol: ProtocolSpec; limits: Limits; model: "crash" | "byzantine" }
  readonly ids: ReadonlyArray<NodeId>
  /** Those whose epoch is announced, not active. */
  private readonly announced: ReadonlyArray<NodeId>

  constructor(
    protocol: ProtocolSpec,
    n: number,
    model: "crash" | "byzantine",
    limits: Partial<Limits> = {},
    announced: ReadonlyArray<NodeId> = []
  ) {
    this.announced = announced
    this.ids = Array.from({ length: n }, (_, i) => i + 1)
    this.options = { protocol, model, limits: { ...LIMITS, ...limits } }
    for (const id of this.ids) this.boot(id)
    for (const a of this.ids) for (const b of this.ids) if (a < b) this.link(a, b)
  }

  /** Ends the oldest Effect under way at a node; `false`: there is none. */
  run(id: NodeId): boolean {
    const started = this.outputs.find(({ from, output }) => from === id && output.kind === "run")
    if (started?.output.kind !== "run") return false
    this.outputs.splice(this.outputs.indexOf(started), 1)
    const { token, effect } = started.output as { token: number; effect: any }
    this.input(id, { kind: "ran", token, result: effect.effect() })
    return true
  }

  /** A new engine over the node's log. */
  boot(id: NodeId, horizonMs = 0): void {
    const { protocol, limits, model } = this.options
    const engine = new Engine({
      self: id,
      system: makeSystem(this.ids, model),
      protocols: [protocol],
      limits,
      isEffect: (value: any) => typeof value?.effect === "function",
      announced: this.announced.includes(id),
      sign: (word) => new Uint8Array(64).fill(word.index)
    })
    const log = this.logs.get(id) ?? []
    this.logs.set(id, log)
    this.engines.set(id, engine)
    for (const record of log) {
      for (const output of engine.step({ kind: "replay", record })) this.output(id, output)
    }
    this.input(id, { kind: "booted", horizonMs })
  }

  link(a: NodeId, b: NodeId): void {
    this.queues.set(`${a}>${b}`, [])
    this.queues.set(`${b}>${a}`, [])
    this.input(a, { kind: "peerUp", peer: b, storeId: `s${b}` })
    this.input(b, { kind: "peerUp", peer: a, storeId: `s${a}` })
  }

  /** Everything on the way between the two is lost. */
  cut(a: NodeId, b: NodeId): void {
    this.queues.delete(`${a}>${b}`)
    this.queues.delete(`${b}>${a}`)
    this.input(a, { kind: "peerDown", peer: b })
    this.input(b, { kind: "peerDown", peer: a })
  }

  input(id: NodeId, input: Unstamped<Input>): void {
    for (const output of this.engines.get(id)!.step({ ...input, atMs: this.atMs } as Input))
      this.output(id, output)
  }

  private output(from: NodeId, output: Output): void {
    this.outputs.push({ from, output })
    if (output.kind === "store") this.logs.get(from)!.push(output.record)
    else if (output.kind === "send") this.queues.get(`${from}>${output.to}`)?.push(output.message)
    else if (output.kind === "reply")
      this.replies.push({ from, route: output.route, reply: output.reply })
  }

  call(id: NodeId, message: Request, route = 1): void {
    this.input(id, { kind: "request", route, request: message })
  }

  /**
   * Delivers all that waits, and what comes of it, until nothing moves. `tick` flushes
   * acknowledgements.
   */
  settle(only: (from: NodeId, to: NodeId, message: PeerMessage) => boolean = () => true): void {
    for (let moved = true; moved; ) {
      moved = false
      for (const id of this.ids) this.input(id, { kind: "tick" })
      for (const [pair, queue] of this.queues) {
        const [from, to] = pair.split(">").map(Number) as [NodeId, NodeId]
        while (queue[0] !== undefined && only(from, to, queue[0])) {
          this.input(to, { kind: "message", from, message: queue.shift()! })
          moved = true
        }
      }
    }
  }

  /** Kinds of what the node logged about calls and instances, in order; of its peers nothing. */
  logged(id: NodeId): ReadonlyArray<string> {
    const entries = this.logs.get(id)!.flatMap((record) => record.entries)
    return entries.map(({ kind }) => kind).filter((kind) => kind !== "member")
  }

  answers(): ReadonlyArray<string> {
    return this.replies
      .map(({ from, reply }) => `${from}: ${reply.code ?? laneOfBytes(reply.body)}`)
      .sort()
  }
}
