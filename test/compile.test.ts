/** Descriptors, handlers and worlds to what the engine takes; what types cannot see is refused. */
import { create, toBinary } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { ReliableBroadcast as rb } from "../examples/reliable-broadcast/gen/rb/v1/broadcast_pb.ts"
import { type AnyHandlers, compile } from "../src/runtime/internal/compile.ts"
import { ProtocolInvalid } from "../src/server/handlers.ts"
import { methodId } from "../src/server/Message.ts"
import { methodsOf } from "../src/runtime/internal/methods.ts"
import { compileProtos } from "./plugin/generate.ts"
import { Kv as kv, PutReplySchema } from "./plugin/golden/ts/kv/v1/kv_pb.ts"
import { CommandSchema, NoteSchema, Slots as slots } from "./plugin/golden/ts/slots/v1/slots_pb.ts"
import { createFileRegistry, type DescService } from "@bufbuild/protobuf"

const wait = () => []
const all = (service: DescService, others: AnyHandlers = {}): AnyHandlers => ({
  ...Object.fromEntries(service.methods.map((method) => [method.localName, wait])),
  ...others
})
const refused = (body: () => unknown): string => {
  try {
    body()
    return "not refused"
  } catch (error) {
    assert.instanceOf(error, ProtocolInvalid)
    return error.message
  }
}

describe("methods", () => {
  it("have the kinds, forwards and replies that their options say", () => {
    const read = methodsOf(kv).map((m) => [m.name, m.call, m.forwards.join(), m.replies.join()])
    assert.deepEqual(read, [
      ["put", "multiparty", "accept,learn", ""],
      ["get", "multiparty", "accept", ""],
      ["read", "quorum", "", ""],
      ["info", "rpc", "", ""],
      ["hint", "multicast", "", ""],
      ["tell", "unicast", "", ""],
      ["plain", "rpc", "", ""],
      ["accept", "phase", "learn", "put,get"],
      ["learn", "phase", "", "put,get"]
    ])
  })
  it("have the ids that travel", () => {
    const [broadcast] = methodsOf(rb)
    assert.equal(broadcast!.fullName, "rb.v1.ReliableBroadcast/Broadcast")
    assert.equal(broadcast!.id, methodId("rb.v1.ReliableBroadcast/Broadcast"))
  })
  it("that the generator would refuse are refused here too", () => {
    const text = (methods: string) => `syntax = "proto3";
package p;
import "quorate/v1/options.proto";
message M {}
service S { ${methods} }`
    const service = (methods: string) =>
      createFileRegistry(compileProtos({ "p/p.proto": text(methods) })).getService("p.S")!
    const streams = "rpc A(stream M) returns (M) { option (quorate.v1.call) = PHASE; }"
    assert.equal(
      refused(() => methodsOf(service(streams))),
      "p.S.A streams; make it unary"
    )
    const forward = `rpc A(M) returns (M) {
      option (quorate.v1.call) = PHASE; option (quorate.v1.forwards) = "B"; }`
    assert.equal(
      refused(() => methodsOf(service(forward))),
      "p.S.A forwards to B, which is no PHASE method"
    )
  })
})

describe("compile", () => {
  it("keeps each method's handler, names and codecs", () => {
    const spec = compile(rb, all(rb), undefined)
    assert.equal(spec.name, "rb.v1.ReliableBroadcast")
    assert.deepEqual(Object.keys(spec), ["name", "methods"])
    const [broadcast, echo] = spec.methods
    assert.equal(echo!.handler, wait)
    assert.deepEqual(echo!.replies, ["broadcast"])
    const body = broadcast!.input.encode({ text: "a" })
    assert.equal((broadcast!.input.decode(body) as { text?: string }).text, "a")
  })
  it("turns a world's schemas into codecs", () => {
    const { world } = compile(slots, all(slots, { accept: lane, learn: lane }), {
      record: NoteSchema,
      lanes: { slots: { window: 4 } },
      application: { command: CommandSchema, initial: () => 0, apply: () => undefined }
    })
    assert.sameMembers(Object.keys(world!), ["record", "lanes", "application"])
    assert.deepInclude(world!.record!.decode(world!.record!.encode({ next: 3 })), { next: 3 })
    const command = world!.application!.command
    assert.deepInclude(command.decode(command.encode({ text: "x" })), { text: "x" })
  })
  it("refuses a method without a handler, and a handler without a method", () => {
    const { ready: _, ...rest } = all(rb)
    assert.equal(
      refused(() => compile(rb, rest, undefined)),
      "rb.v1.ReliableBroadcast/Ready has no handler; " +
        'write "ready: …" among the handlers of its protocol'
    )
    assert.equal(
      refused(() => compile(rb, all(rb, { redy: wait }), undefined)),
      '"redy" is not a method of rb.v1.ReliableBroadcast; its methods: broadcast, echo, ready'
    )
  })
  it("refuses votes where calls come", () => {
    assert.equal(
      refused(() => compile(rb, all(rb, { broadcast: { quorum: wait } }), undefined)),
      "rb.v1.ReliableBroadcast/Broadcast is no PHASE method: write a function as its handler"
    )
  })
  it("refuses a phase without a lane where there are lanes, and an application without", () => {
    const lanes = { slots: { window: 4 }, views: { window: 1 } }
    assert.equal(
      refused(() => compile(slots, all(slots, { accept: lane }), { lanes })),
      "slots.v1.Slots/Learn names no lane; lanes: slots, views"
    )
    const application = { command: CommandSchema, initial: () => 0, apply: () => undefined }
    assert.equal(
      refused(() => compile(slots, all(slots), { application })),
      "slots.v1.Slots has an application and no lane to run it in; declare one"
    )
  })
})
const lane = { lane: "slots", index: () => 1, each: wait }

describe("codec", () => {
  const spec = compile(kv, all(kv), undefined)
  const accept = spec.methods.find(({ name }) => name === "accept")!.input
  it("drops what it does not know: votes are compared by what is in them", () => {
    const known = accept.encode({ slot: 1 })
    const more = new Uint8Array([...known, 0x98, 0x06, 0x01])
    assert.deepEqual(accept.encode(accept.decode(more)), known)
  })
  it("throws on bytes that are no such message", () => {
    assert.throws(() => accept.decode(new Uint8Array([0x1a, 0x7f])))
  })
  it("takes a message with new parts written in", () => {
    const before = accept.decode(accept.encode({ slot: 1, parent: { slot: 2 } }))
    const after = accept.encode({ ...before, parent: { slot: 3, above: { slot: 4 } } })
    assert.deepEqual(after, accept.encode({ slot: 1, parent: { slot: 3, above: { slot: 4 } } }))
  })
  it("refuses a message of another type", () => {
    const other = create(PutReplySchema, { ok: true })
    assert.throws(() => accept.encode(other), "a kv.v1.PutReply is no kv.v1.Slot")
    assert.deepEqual(toBinary(PutReplySchema, other), new Uint8Array([8, 1]))
  })
})
