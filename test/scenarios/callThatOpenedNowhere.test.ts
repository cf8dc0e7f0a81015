/**
 * Call 1 reaches one node and is interrupted. It is never finished anywhere, and must hold up
 * neither the session's window, nor any table, nor what the node that saw it says later.
 */
import { describe, expect, it } from "vitest"
import { LIMITS, type Limits } from "../../src/base/limits.ts"
import { CallCore, type CallResult } from "../../src/link/callCore.ts"
import { matching } from "../../src/quorum/Policy.ts"
import { makeSystem } from "../../src/quorum/QuorumSystem.ts"
import { laneOfBytes, sessionKey } from "../../src/server/laneKey.ts"
import { methodId } from "../../src/server/Message.ts"
import { bracha, json, Nodes, request, session } from "../support/engines.ts"

/** Four nodes and the call table of a real client; to begin with node 1 alone hears it. */
class Scene {
  readonly nodes: Nodes
  readonly client: CallCore
  readonly heard = new Set([1])
  readonly sessions = new Set<string>()
  lastIndex = 0

  constructor(limits: Partial<Limits> = {}) {
    this.nodes = new Nodes(bracha, 4, "byzantine", limits)
    this.client = new CallCore({
      system: makeSystem(this.nodes.ids, "byzantine"),
      limits: LIMITS,
      ports: {
        clock: { nowMs: () => this.nodes.atMs },
        sessionKey: (ms) => sessionKey(ms, new Uint8Array(16).fill(7)),
        send: (to, message) => {
          if (!this.heard.has(to)) return true
          if (message.kind === "cancel") this.nodes.input(to, { ...message, route: 1 })
          if (message.kind !== "request") return true
          this.sessions.add(message.session)
          this.lastIndex = message.index
          this.nodes.call(to, message)
          return true
        },
        random: () => 0,
        wake: () => {}
      }
    })
    for (const id of this.nodes.ids) this.client.linkUp(id, 0)
  }

  start(text: string): { readonly id: number; result: CallResult<string> | undefined } {
    const id = this.client.start<string, string>({
      method: methodId("rb/broadcast"),
      call: "multiparty",
      body: () => json.encode({ text }),
      targets: this.nodes.ids,
      decode: laneOfBytes,
      policy: matching((reply: string) => reply),
      deadlineMs: 60_000,
      done: (result) => {
        call.result = result
      }
    })
    const call: ReturnType<Scene["start"]> = { id, result: undefined }
    return call
  }

  /** Nodes talk until nothing moves, and the client hears their answers. */
  settle(): void {
    const { nodes } = this
    nodes.settle()
    for (const { from, reply } of nodes.replies.splice(0)) this.client.onReply(from, reply)
    nodes.outputs.length = 0
  }
}

/** Call 1 is interrupted; calls 2 to `last` are made one after the other. */
const run = (last: number, limits: Partial<Limits> = {}): Scene => {
  const scene = new Scene(limits)
  const first = scene.start("lost")
  scene.settle()
  scene.client.cancel(first.id)
  scene.settle()
  for (const id of scene.nodes.ids) scene.heard.add(id)
  for (let n = 2; n <= last; n++) {
    const call = scene.start(`m${n}`)
    scene.settle()
    if (call.result?.ok !== true) expect(call.result, `call ${n}`).toMatchObject({ ok: true })
  }
  expect(first.result).toBeUndefined()
  expect(scene.sessions.size).toBe(1)
  expect(scene.lastIndex).toBe(last)
  for (const id of scene.nodes.ids) {
    const size = scene.nodes.engines.get(id)!.size()
    // Call 1 is still there, for it may yet be agreed on; and the last one's answer.
    expect(size).toMatchObject({ sessions: 1, instances: id === 1 ? 1 : 0, answers: 1 })
    expect(size["early"]).toBe(id === 1 ? 0 : 1)
  }
  return scene
}

describe("the call that opened nowhere", () => {
  it("calls 2 to 10,000 of the session work", { timeout: 60_000 }, () => {
    run(10_000)
  })

  it("and the node that saw it runs out of no room, though nobody finishes its word", () => {
    const tailBytesMax = 65_536
    const { nodes } = run(2_000, { tailBytesMax })
    const { tailBytes, tail } = nodes.engines.get(1)!.size()
    expect(tailBytes).toBeLessThan(tailBytesMax)
    // It refused nobody, and still has what it said of call 1.
    expect(tail).toBeGreaterThan(0)
    expect(nodes.engines.get(1)!.counters["overloaded"]).toBeUndefined()
    const { entries } = nodes.engines.get(1)!.checkpoint()
    expect(entries.filter((e) => e.kind === "word" && e.index === 1)).toHaveLength(1)
  })

  it("and a client that makes only such calls takes no room from others", () => {
    const nodes = new Nodes(bracha, 4, "byzantine", { tailBytesMax: 4_000 })
    const made = (index: number): object => ({ text: `${index}`.padEnd(100, "x") })
    for (let index = 1; index <= 400; index++) {
      nodes.call(1, request("rb", "broadcast", made(index), { index }), 5)
      if (index % 2 === 0) nodes.settle()
    }
    const more = { session: session(2) }
    for (const id of nodes.ids) nodes.call(id, request("rb", "broadcast", made(0), more), 9)
    nodes.settle()
    const codes = nodes.replies.map(({ reply }) => reply.code)
    expect(codes).toEqual([undefined, undefined, undefined, undefined])
    // What it said in each of them stands.
    const { entries } = nodes.engines.get(1)!.checkpoint()
    expect(entries.filter((e) => e.kind === "word" && e.lane === session(1))).toHaveLength(400)
  })
})
