/** What must not compile on the caller's side, in mocks, layers and simulations. */
import { create } from "@bufbuild/protobuf"
import { Effect, Layer, type Stream } from "effect"
import {
  type CallFailed,
  type Carrier,
  Failed,
  type Group,
  Quorum,
  Service,
  type Vote
} from "quorate"
import { NodeGroup } from "quorate/platform-node"
import { type Member, Replica } from "quorate/server"
import { Simulation } from "quorate/testing"
import { Kv as KvJs } from "../plugin/golden/js/kv/v1/kv_quorate.js"
import { type GetReply, Kv } from "../plugin/golden/ts/kv/v1/kv_quorate.ts"
import {
  type Delivery,
  type Message,
  MessageSchema,
  ReliableBroadcast,
  type ReliableBroadcastMethods
} from "../plugin/golden/ts/rb/v1/broadcast_quorate.ts"
import { Audit, idle, is } from "./is.ts"

declare const foreign: Quorum.Policy<Message & { n: 1 }, 1>
export const client = Effect.gen(function* () {
  const rb = yield* ReliableBroadcast
  const matching = yield* rb.broadcast(
    { text: "a" },
    Quorum.matching((d) => d.text)
  )
  is<typeof matching, Delivery>(true)
  const byDefault = yield* rb.broadcast(create(MessageSchema, { text: "a" }))
  is<typeof byDefault, Delivery>(true)
  const majority = yield* rb.broadcast({ text: "a" }, Quorum.majority())
  is<typeof majority, ReadonlyArray<Vote<Delivery>>>(true)
  const longest = Quorum.fold(
    0,
    (n, d: Delivery) => n + d.text.length,
    (_, count) => count === 3
  )
  is<typeof longest, Quorum.Policy<Delivery, number>>(true)
  const folded = yield* rb.broadcast({ text: "a" }, longest)
  is<typeof folded, number>(true)
  const some = yield* rb.broadcast({ text: "a" }, undefined, { timeoutMs: 1_000, to: [1, 2] })
  is<typeof some, Delivery>(true)
  yield* rb.broadcast({}, Quorum.first(), { to: { nodes: [1, 2] } })
  const replies = rb.broadcast.replies({ text: "a" })
  is<typeof replies, Stream.Stream<Vote<Delivery>, CallFailed>>(true)
  // @ts-expect-error Property 'echo' does not exist on type 'ReliableBroadcastClient'
  rb.echo({ text: "a" })
  // @ts-expect-error Property 'each' does not exist: a multiparty call is one call
  rb.broadcast.each
  // @ts-expect-error 'txt' does not exist in type 'MessageInit<Message>'
  rb.broadcast({ txt: "a" })
  rb.broadcast(
    { text: "a" },
    // @ts-expect-error Property 'txt' does not exist on type 'Delivery'
    Quorum.matching((d) => d.txt)
  )
  // @ts-expect-error Type '() => Policy' is not assignable: majority must be called
  rb.broadcast({ text: "a" }, Quorum.majority)
  // @ts-expect-error a policy for another reply
  rb.broadcast({ text: "a" }, foreign)
  // @ts-expect-error 'timeout' does not exist in type 'CallOptions'
  rb.broadcast({ text: "a" }, undefined, { timeout: "1 second" })
  // @ts-expect-error Type 'string' is not assignable to type 'number'
  rb.broadcast({ text: "a" }, undefined, { to: ["one"] })
  return byDefault.text
})
is<typeof client, Effect.Effect<string, CallFailed, ReliableBroadcast>>(true)

export const others = Effect.gen(function* () {
  const kv = yield* Kv
  const read = yield* kv.read({ key: "a" })
  is<typeof read, ReadonlyArray<Vote<GetReply>>>(true)
  const each = yield* kv.read.each((node) => (node === 1 ? undefined : { key: `${node}` }))
  is<typeof each, ReadonlyArray<Vote<GetReply>>>(true)
  const info = yield* kv.info(1, {}, { timeoutMs: 10 })
  is<typeof info, GetReply>(true)
  yield* kv.hint({ key: "a" }, { to: [1] })
  yield* kv.tell(1, { key: "a" })
  // @ts-expect-error Expected 2-3 arguments, but got 1: which node?
  kv.info({ key: "a" })
  // @ts-expect-error 'policy' does not exist: one node answers an RPC
  kv.info(1, {}, { policy: Quorum.first() })
  // @ts-expect-error 'timeoutMs' does not exist: nobody waits for a multicast
  kv.hint({ key: "a" }, { timeoutMs: 1 })
  // @ts-expect-error 'kee' does not exist in type 'MessageInit<GetRequest>'
  kv.read.each(() => ({ kee: "a" }))
})
is<typeof others, Effect.Effect<void, CallFailed, Kv>>(true)

// keys and layers
is<typeof ReliableBroadcast.layer, Layer.Layer<ReliableBroadcast, never, Group | Carrier>>(true)
export class Second extends ReliableBroadcast.named("second") {}
// @ts-expect-error a client of the second group is another key
export const notTheFirst: Effect.Effect<string, CallFailed, typeof Second.Identifier> = client
is<Service.MethodsOf<typeof Second.Identifier>, ReliableBroadcastMethods>(true)

// mocks
export const mock = Kv.mock({
  read: ({ key }, node) => (node === 1 ? undefined : { value: new Uint8Array(key.length) }),
  info: () => new Failed({ code: "unavailable", detail: "" }),
  hint: () => {}
})
is<typeof mock, Layer.Layer<Kv>>(true)
// @ts-expect-error 'accept' does not exist in type 'Mock<KvMethods>': clients call no phases
Kv.mock({ accept: () => undefined })
// @ts-expect-error 'val' does not exist in type 'MessageInit<GetReply>'
Kv.mock({ read: () => ({ val: 1 }) })
// @ts-expect-error 'val' does not exist: what is printed as JavaScript has the same types
KvJs.mock({ read: () => ({ val: 1 }) })

// servers
export const honest = ReliableBroadcast.protocol({
  broadcast: ({ wait }) =>
    Effect.as(
      Audit.use((a) => a.ok),
      wait
    ),
  echo: idle,
  ready: idle
})
const replica = Replica.layer(honest)
type Needs = Audit | Group | Member | Carrier
is<typeof replica, Layer.Layer<never, Replica.ReplicaFailed, Needs>>(true)
// @ts-expect-error handlers are no protocol
Replica.layer({ broadcast: idle, echo: idle, ready: idle })

// simulations
const calls = { broadcast: [{ text: "a" }] }
export const simulated = Simulation.check(honest, { nodes: 4, calls }, (run) =>
  run.agreement("broadcast", (d) => d.text)
)
// @ts-expect-error Argument of type '"echo"' is not assignable to parameter of type '"broadcast"'
Simulation.check(honest, { nodes: 4, calls }, (run) => run.agreement("echo", () => ""))
// @ts-expect-error Property 'txt' does not exist on type 'Delivery'
Simulation.check(honest, { nodes: 4, calls }, (run) => run.agreement("broadcast", (d) => d.txt))
// @ts-expect-error 'echo' does not exist: clients call no phases
Simulation.check(honest, { nodes: 4, calls: { echo: [{ text: "a" }] } }, () => [])

// without the generator
Service.make<Kv, {}, {}>()
// @ts-expect-error Type '{ a: number; }' is no method: Multiparty, Phase …
Service.make<Kv, { a: number }, {}>()

// a server must know which member it is
const launched = (server: Layer.Layer<never, unknown>) => Layer.launch(server)
const plain = ReliableBroadcast.protocol({ broadcast: idle, echo: idle, ready: idle })
launched(Replica.layer(plain).pipe(Layer.provide(NodeGroup.layerMember("group.json", 1))))
// @ts-expect-error Type 'Member' is not assignable to type 'never'
launched(Replica.layer(plain).pipe(Layer.provide(NodeGroup.layerFile("group.json"))))
// @ts-expect-error Type 'Audit' is not assignable to type 'never': what handlers need is provided
launched(Replica.layer(honest).pipe(Layer.provide(NodeGroup.layerMember("group.json", 1))))
