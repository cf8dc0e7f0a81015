/** The golden files run: as printed, and by hand without the generator. */
import { fromBinary, toBinary } from "@bufbuild/protobuf"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { Failed, Quorum, Service } from "quorate"
import { Simulation } from "quorate/testing"
import { Kv as KvJs } from "./golden/js/kv/v1/kv_quorate.js"
import { Kv, PutRequestSchema } from "./golden/ts/kv/v1/kv_quorate.ts"
import { ReliableBroadcast as descriptor } from "./golden/ts/rb/v1/broadcast_pb.ts"
import { ReliableBroadcast } from "./golden/ts/rb/v1/broadcast_quorate.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const told: Array<string> = []
const nodes: Service.Mock<Service.MethodsOf<Kv>> = {
  put: ({ key }, node) => (node === 4 ? undefined : { ok: key !== "" }),
  read: ({ key }, node) => (node === 3 ? undefined : { value: bytes(`${key}${node}`) }),
  info: (_, node) =>
    node === 1
      ? { value: bytes("one") }
      : new Failed({ code: "unavailable", detail: `node ${node} is shy` }),
  hint: ({ key }, node) => {
    told.push(`${key} to ${node}`)
  },
  tell: ({ key }, node) => {
    told.push(`${key} only to ${node}`)
  }
}

for (const [target, service] of [
  ["ts", Kv],
  ["js", KvJs as unknown as typeof Kv]
] as const) {
  layer(service.mock(nodes))(`${target}: a client of a printed service`, (it) => {
    it.effect("calls each kind of method with its own arguments", () =>
      Effect.gen(function* () {
        const kv = yield* service
        assert.isTrue((yield* kv.put({ key: "a" })).ok)
        const read = yield* kv.read({ key: "v" })
        assert.deepEqual(
          read.map(({ from, message }) => [from, new TextDecoder().decode(message.value)]),
          [
            [1, "v1"],
            [2, "v2"],
            [4, "v4"]
          ]
        )
        const { value } = yield* kv.info(1, {})
        assert.deepEqual(value, bytes("one"))
        told.length = 0
        yield* kv.hint({ key: "h" }, { to: [2, 3] })
        yield* kv.tell(4, { key: "t" })
        assert.deepEqual(told, ["h to 2", "h to 3", "t only to 4"])
      })
    )
    it.effect("asks each node its own, and leaves out those without a request", () =>
      Effect.gen(function* () {
        const kv = yield* service
        const answer = yield* kv.read.each(
          (node) => (node === 1 ? undefined : { key: `k${node}-` }),
          Quorum.first()
        )
        assert.deepEqual(answer.value, bytes("k2-2"))
      })
    )
    it.effect("streams the replies as they come", () =>
      Effect.gen(function* () {
        const kv = yield* service
        const replies = yield* kv.put.replies({ key: "a" }).pipe(Stream.take(3), Stream.runCollect)
        assert.deepEqual(
          replies.map(({ from }) => from),
          [1, 2, 3]
        )
      })
    )
    it.effect("fails with what each node said", () =>
      Effect.gen(function* () {
        const kv = yield* service
        const failed = yield* Effect.flip(kv.info(2, {}))
        assert.equal(failed.code, "unavailable")
        assert.include(failed.message, "kv.v1.Kv/Info: 0 of 1; node 2 failed")
        assert.include(failed.message, "node 2 is shy")
        const silent = yield* Effect.flip(kv.read({ key: "" }, Quorum.all()))
        assert.deepEqual([silent.code, silent.needed, silent.got], ["deadline_exceeded", 4, 3])
        const left = yield* Effect.flip(kv.plain(1, {}))
        assert.equal(left.code, "unknown_method")
      })
    )
  })
}

describe("a printed service", () => {
  it("has the descriptor, and messages beside it", () => {
    assert.equal(ReliableBroadcast.descriptor, descriptor)
    const put = toBinary(PutRequestSchema, { ...emptyPut, key: "a" })
    assert.equal(fromBinary(PutRequestSchema, put).key, "a")
  })
  it("is a key of its own per name", () => {
    const east = ReliableBroadcast.named("east")
    assert.equal(east, ReliableBroadcast.named("east"))
    assert.notEqual(east.key, ReliableBroadcast.key)
    assert.notStrictEqual<unknown>(east.layer, ReliableBroadcast.layer)
  })
})
const emptyPut = fromBinary(PutRequestSchema, new Uint8Array())

const Printed = ReliableBroadcast.protocol({
  broadcast: ({ message, forward }) => forward.echo(message),
  echo: {
    agreeOn: (m) => m.text,
    quorum: ({ votes, system, forward, wait }) =>
      votes.agreed(system.quorum) ? forward.ready({ text: votes.value }) : wait
  },
  ready: {
    quorum: ({ votes, system, forward, reply, wait }) =>
      votes.agreed(system.quorum)
        ? reply({ text: votes.value.text })
        : votes.agreed(system.oneHonest)
          ? forward.ready(votes.message)
          : wait
  }
})

// Without the generator: phases are the methods that return google.protobuf.Empty.
interface Methods extends Service.FromMarker<typeof descriptor, "google.protobuf.Empty"> {}
interface Client extends Service.ClientFrom<Methods> {}
class ByHand extends Service.make<ByHand, Methods, Client>()(descriptor) {}

const Written = ByHand.protocol({
  broadcast: ({ message, forward }) => forward.echo(message),
  echo: {
    agreeOn: (m) => m.text,
    quorum: ({ votes, system, forward, wait }) =>
      votes.agreed(system.quorum) ? forward.ready({ text: votes.value }) : wait
  },
  ready: ({ message, reply }) => reply({ text: message.text })
})

const calls = { broadcast: [{ text: "a" }, { text: "b" }] }
describe("a protocol", () => {
  it.effect("of a printed service runs", () =>
    Simulation.check(Printed, { nodes: 4, byzantine: 1, runs: 5, calls }, (run) => [
      run.agreement("broadcast", (d) => d.text),
      run.answered("broadcast", 3)
    ])
  )
  it.effect("of a service written by hand runs", () =>
    Simulation.check(Written, { nodes: 3, runs: 5, faults: "none", calls }, (run) =>
      run.answered("broadcast", 3)
    )
  )
  it.effect("of a service written by hand has a client", () =>
    Effect.gen(function* () {
      const { text } = yield* (yield* ByHand).broadcast({ text: "hello" })
      assert.equal(text, "hello")
    }).pipe(Effect.provide(ByHand.mock({ broadcast: ({ text }) => ({ text }) })))
  )
})
