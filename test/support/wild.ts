/** A protocol whose handlers do whatever the messages say: all directives, and junk. */
import { encodePlain } from "../../src/base/plainData.ts"
import { methodId } from "../../src/server/Message.ts"
import type { Codec, ProtocolSpec } from "../../src/server/Protocol.ts"
import { bracha, bytesOf, json, protocolOf, session } from "./engines.ts"

/** What a handler returns by the text of its message: steps, junk, Effects, throws. */
const anything = (c: any): unknown => {
  const message = c.message ?? c.votes?.message
  switch (message.text) {
    case "throw":
      throw new Error("thrown")
    case "effect":
      return { effect: true }
    case "junk":
      return message.junk
    case "reply":
      return { kind: "reply", message: { text: "r" } }
    case "replyTo":
      return { kind: "reply", message: { text: "r" }, call: message.call }
    case "refuse":
      return { kind: "refuse", code: "overloaded" }
    case "fail":
      return { kind: "fail", code: "invalid", detail: message.junk }
    case "apply":
      return { kind: "apply", items: itemsOf(message.slot) }
    case "tentative":
      return { kind: "apply", items: [{ command: {}, call: message.call }], tentative: true }
    case "applyJunk":
      // Without items an index is decided all the same.
      return { kind: "apply", items: message.junk?.length === 0 ? 1 : message.junk }
    case "rollback":
    case "install":
      return { kind: message.text, index: message.slot, bytes: STATES[message.slot % 3] }
    case "read":
      return { kind: "read", query: 1, call: message.call, index: message.junk }
    case "deliver":
      return [{ kind: "deliver", message: {} }, c.forward?.each?.(message) ?? []].flat()
    case "park":
    case "wake":
      return { kind: message.text, key: message.slot }
    case "count":
      return { kind: "count", proof: proofOf(message) }
    case "admit":
      return { kind: "admit", request: admittedOf(message) }
    case "store":
      return [
        { kind: "store", record: { n: 1 } },
        { kind: "note", record: message.junk ?? {} }
      ]
    case "refuseOdd":
      return { kind: "refuse", code: message.junk, node: message.slot }
    case "floor":
      return { kind: "floor", lane: "high", index: message.slot }
    case "arm":
      return { kind: "arm", timer: "t", ms: message.slot }
    default:
      return message.to === undefined
        ? []
        : { kind: "forward", method: message.to, message, to: message.whom ?? "all" }
  }
}
/** What is decided at an index is the same whoever says it. */
const itemsOf = (slot: number): ReadonlyArray<object> => [
  { command: { slot } },
  {
    command: {},
    call: {
      session: bytesOf(SESSIONS[slot % 12] ?? "short"),
      index: 1 + (slot % 3),
      method: "multi"
    }
  }
]
const STATES = [encodePlain([0, {}]), encodePlain([7, { a: 1 }]), bytesOf("no state")]
const at = (message: any) => ({
  lane: bytesOf(message.lane ?? "slots"),
  index: BigInt(message.slot)
})
const proofOf = (message: any): object => {
  const method = methodId(`w/${message.to ?? "slot"}`)
  const body = json.encode({ ...message, text: "a" })
  const signature = new Uint8Array(64)
  const votes = [2, 3, 3, 9].map((author) => ({ author, signature }))
  return { ...at(message), method, round: message.round, body, votes }
}
const admittedOf = (message: any): object => ({
  session: bytesOf(SESSIONS[message.round] ?? ""),
  index: message.slot,
  method: methodId("w/multi"),
  body: json.encode({ ...message, text: "admit" }),
  clientKey: new Uint8Array(32),
  nonce: new Uint8Array(16),
  signature: new Uint8Array(64)
})
/** Bytes that it cannot read, and messages that it cannot write. */
const brittle: Codec = {
  encode: (message: any) => {
    if (message.text === "unwritable") throw new Error("unwritable")
    return json.encode(message)
  },
  decode: (bytes) => {
    const message = json.decode(bytes)
    if (typeof message !== "object" || message === null) throw new Error("no message")
    return message
  }
}
const lane = { lane: "slots", index: (m: any) => m.slot, round: (m: any) => m.round ?? 0 }
const wild: ProtocolSpec = protocolOf(
  "w",
  {
    multi: ["multiparty", anything],
    rpc: ["rpc", anything],
    quorum: ["quorum", anything],
    uni: ["unicast", anything],
    each: ["phase", anything],
    tally: ["phase", { agreeOn: (m) => m.value.of, quorum: anything }],
    slot: ["phase", { ...lane, each: anything }],
    learn: ["phase", { ...lane, quorum: anything }],
    high: ["phase", { ...lane, lane: "high", quorum: anything }],
    view: ["phase", { ...lane, lane: "views", quorum: anything }]
  },
  {
    state: () => ({ n: 0 }),
    record: json,
    evolve: (state, record) => (state.n += record.n ?? 0),
    lanes: {
      slots: { window: 3, rounds: 2 },
      high: { window: 3, rounds: "latest", floor: "set" },
      views: { rounds: "latest" }
    },
    timers: {
      t: ({ forward, arm, lanes }) => [forward.high({ slot: lanes.high.own }), arm("t", 1)]
    },
    turnEnd: ({ forward, state }) => forward.view({ slot: 1, round: state.n }),
    booted: ({ lanes, forward }) => forward.view({ slot: 1, round: lanes.slots.applied }),
    behind: ({ lane, own, lanes, state, install, floor }) =>
      lane === "high"
        ? floor(lane, own)
        : { ...install({ index: lanes.slots.own + state.n, bytes: STATES[0]! }) },
    installed: ({ index, forward }) => forward.view({ slot: 1, round: index }),
    epoch: ({ arm }) => arm("t", 1),
    deliver: { message: json, to: () => {} },
    application: {
      command: json,
      initial: () => ({}),
      apply: () => ({ text: "applied" }),
      undo: () => {},
      read: () => ({ text: "read" })
    }
  }
)
const SIGNED = ["multi", "slot", "view", "each"]
const withBrittle = (spec: ProtocolSpec): ProtocolSpec => ({
  ...spec,
  methods: spec.methods.map((method) => ({
    ...method,
    input: brittle,
    output: brittle,
    signed: SIGNED.includes(method.name)
  }))
})
export const PROTOCOLS = [bracha, withBrittle(wild)]
export const METHODS = PROTOCOLS.flatMap((p) => p.methods)
/** Of different ages, so that the oldest of them are evicted. */
export const ERA_MS = 12_000
export const SESSIONS = [0, 1, 2].flatMap((era) =>
  [1, 2, 3, 4].map((n) => session(n, era * ERA_MS + n))
)
export const TEXTS =
  `a throw effect junk reply replyTo refuse refuseOdd fail apply tentative applyJunk rollback
  install
  read deliver park wake count admit store unwritable floor arm`.split(/\s+/)
export const PHASES = ["echo", "ready", "each", "tally", "slot", "learn", "high", "view", "nope"]
