/**
 * Call 1 reaches one node and is interrupted. It is never finished anywhere, and must hold up
 * neither the session's window, nor any table, nor what the node that saw it says later.
 */
import { describe, expect, it } from "vitest"
import { LIMITS } from "../../src/base/limits.ts"
import { CallCore, type CallResult } from "../../src/link/callCore.ts"
import { matching } from "../../src/quorum/Policy.ts"
import { makeSystem } from "../../src/quorum/QuorumSystem.ts"
import { laneOfBytes, sessionKey } from "../../src/server/laneKey.ts"
import { methodId } from "../../src/server/Message.ts"
import { bracha, json, Nodes } from "../support/engines.ts"

const CALLS = 10_000

/** Four nodes and the call table of a real client; to begin with node 1 alone hears it. */
class Scene {
  readonly nodes = new Nodes(bracha, 4, "byzantine")
  readonly client: CallCore
  readonly heard = new Set([1])
  readonly sessions = new Set<string>()
  lastIndex = 0

  constructor() {
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

describe("the call that opened nowhere", () => {
  it("calls 2 to 10,000 of the session work", { timeout: 60_000 }, () => {
    const scene = new Scene()
    const first = scene.start("lost")
    scene.settle()
    scene.client.cancel(first.id)
    scene.settle()
    for (const id of scene.nodes.ids) scene.heard.add(id)
    for (let n = 2; n <= CALLS; n++) {
      const call = scene.start(`m${n}`)
      scene.settle()
      if (call.result?.ok !== true) expect(call.result, `call ${n}`).toMatchObject({ ok: true })
    }
    expect(first.result).toBeUndefined()
    expect(scene.sessions.size).toBe(1)
    expect(scene.lastIndex).toBe(CALLS)
    for (const id of scene.nodes.ids) {
      const size = scene.nodes.engines.get(id)!.size()
      // Call 1 is still there, for it may yet be agreed on; and the last one's answer.
      expect(size).toMatchObject({ sessions: 1, instances: id === 1 ? 1 : 0, answers: 1 })
      expect(size["early"]).toBe(id === 1 ? 0 : 1)
    }
  })
})
